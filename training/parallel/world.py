"""The processes that train one model together, and what they say to each other.

Rank 0 leads: it alone has the store's names, the lease, the journal, trackers and checkpoints, and tells the others
what to train. Sums go pair by pair in an order that depends on nothing but the number of lanes, so every number of
processes gives the same bits. Messages are JSON and tensors; nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from assets_data.lineage import ConfigError, StemmaError, TrainingError, digest_json
from training.config import STALLED

PATIENCE = timedelta(days=1)
"""How long one process waits for another: longer than any preflight or save. A dead one is noticed at once by its
closed connection, a stalled one by the watchdog, which ends every process of the group.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process's place among ``size`` of them: a fact of the environment."""

    rank: int = 0
    size: int = 1
    strategy: str = "none"
    """``ddp``: every process has the whole model. ``fsdp``: its rows of it, see :mod:`training.parallel.sharded`."""
    reduction: str = "exact"
    """``exact``: this project's tree, the same bits for every world. ``fast``: the buckets of torch's DDP, which
    overlap with the backward pass and give the same bits for one size of the world only.
    """

    behind: bool = False
    """Whether checkpoints are written behind the run: copied at a step's edge, published at a later one."""

    ahead: int | None = None
    """How many coming updates' batches a thread of each process makes ahead; None: see :class:`training.feed.Feed`."""

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def directory(self, run: Path) -> Path:
        """This process's own directory of a run: the run's for rank 0, a folder in it for every other."""
        return run if self.leads else run / "ranks" / str(self.rank)

    def share(self, lanes: int) -> range:
        """The lanes of this process: a block of them, or with ``fsdp`` one of each wave. Raises ConfigError LANES_WORLD
        unless the world divides them.
        """
        if lanes % self.size:
            what = f"{self.size} processes cannot share {lanes} lanes"
            action = "start as many processes as divide train.lanes, which is part of what a run is"
            raise ConfigError("LANES_WORLD", what, where="train.lanes", action=action)
        if self.strategy == FSDP:
            return range(self.rank, lanes, self.size)
        each = lanes // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def sum(self, values: Sequence[Tensor]) -> list[Tensor]:
        """The sum over all processes of flat ``values``, by recursive doubling: bit-equal in every process.

        After k rounds each holds the sum over its block of 2**k; adding two numbers does not depend on which is first.
        """
        found = list(values)
        for peer in (self.rank ^ (1 << k) for k in range(self.size.bit_length() - 1)):
            theirs = [torch.empty_like(value) for value in found]
            with _heard():
                sends = [dist.P2POp(dist.isend, value, peer) for value in found]
                calls = [*sends, *(dist.P2POp(dist.irecv, value, peer) for value in theirs)]
                for work in dist.batch_isend_irecv(calls):
                    work.wait()
            found = [own + their for own, their in zip(found, theirs, strict=True)]
        return found

    def swap(self, peer: int, value: Tensor) -> Tensor:
        """What ``peer`` gives for ``value``, which is of the same shape."""
        theirs = torch.empty_like(value)
        with _heard():
            calls = [dist.P2POp(dist.isend, value, peer), dist.P2POp(dist.irecv, theirs, peer)]
            for work in dist.batch_isend_irecv(calls):
                work.wait()
        return theirs

    def exchange(self, sent: Sequence[Tensor], lengths: Sequence[int]) -> list[Tensor]:
        """What each process has for this one, flat and of these lengths, for what this one has for each of them."""
        found = torch.empty(sum(lengths), dtype=sent[0].dtype, device=sent[0].device)
        with _heard():
            dist.all_to_all_single(found, torch.cat(list(sent)), list(lengths), [len(part) for part in sent])
        return list(found.split(list(lengths)))

    def gather(self, document: Any) -> list[Any]:
        """On rank 0 the JSON documents of all, by rank; elsewhere nothing."""
        text = torch.frombuffer(bytearray(json.dumps(document).encode()), dtype=torch.uint8)
        sizes = self.exchange([torch.tensor([len(text)])] * self.size, [1] * self.size)
        nothing = text[:0]
        sent = [text, *[nothing] * (self.size - 1)]
        parts = self.exchange(sent, [int(size) if self.leads else 0 for size in sizes])
        return [json.loads(bytes(part.tolist())) for part in parts] if self.leads else []

    def any(self, *flags: bool) -> list[bool]:
        """For every flag whether a process raised it, in one exchange between the hosts."""
        if self.size == 1:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.uint8)
        with _heard():
            dist.all_reduce(raised, dist.ReduceOp.MAX)
        return [bool(flag) for flag in raised.tolist()]

    def tell(self, document: Any = None) -> Any:
        """Rank 0's JSON document, in every process."""
        if self.size == 1:
            return document
        text = json.dumps(document).encode() if self.leads else b""
        length = torch.tensor([len(text)])
        with _heard():
            dist.broadcast(length, 0)
            data = torch.frombuffer(bytearray(text or bytes(int(length))), dtype=torch.uint8)
            dist.broadcast(data, 0)
        return json.loads(bytes(data.tolist()))

    def require_same(self, facts: Mapping[str, Any]) -> None:
        """Raise TrainingError RANKS_DIFFER unless every process has the very facts of rank 0."""
        theirs = self.tell(digests := {name: digest_json(value) for name, value in facts.items()})
        differing = [name for name, digest in digests.items() if theirs[name] != digest]
        if any(self.any(bool(differing))):
            action = "give every process the same code, store and settings"
            what = "the processes of this run would not train the same model"
            raise TrainingError("RANKS_DIFFER", what, where=f"rank {self.rank}", found=differing, action=action)

    def facts(self) -> dict[str, Any]:
        """What the environment report says of it; nothing for a process alone."""
        if self.size == 1:
            return {}
        said = {"strategy": self.strategy, "reduction": self.reduction, "world": self.size}
        return {"parallel": {**said, "backend": dist.get_backend()}}

    def bit_facts(self) -> dict[str, Any]:
        """What of it must stay the same for a resume to be bit-equal: nothing where sums are exact."""
        return {} if self.reduction == "exact" else {"reduction": self.reduction, "world": self.size}


FSDP = "fsdp"
ALONE = World()
LOST = "RANK_LOST"
"""The code of a process that ends because another one did: as after a stall, trying again may help."""


def exit_status(error: StemmaError) -> int:
    """Of a process that ``error`` ends: 75, as after a stall, where another process is gone, else 1."""
    return STALLED if error.code == LOST else 1


@contextlib.contextmanager
def joined(
    strategy: str | None = None, reduction: str = "exact", *, behind: bool = False, ahead: int | None = None
) -> Iterator[World]:
    """The world that a launcher such as ``torchrun`` describes in the environment; without one, this process alone.

    Raises ConfigError PARALLEL_WORLD for a number of processes that is no power of two, or a strategy that does not fit
    it: ``none`` is for one process, ``ddp`` and ``fsdp`` for several; not given, it is none or ddp by their number.
    Raises AHEAD_NEGATIVE for fewer than no updates ahead, PARALLEL_ENVIRONMENT where what a launcher says is missing.
    """
    if ahead is not None and ahead < 0:
        what, action = "fewer than no batches ahead", "0 makes every batch when it is asked for"
        raise ConfigError("AHEAD_NEGATIVE", what, where="--ahead", found=ahead, action=action)
    size = _variable("WORLD_SIZE", "1")
    strategy = strategy or ("ddp" if size > 1 else "none")
    if size < 1 or size & (size - 1) or (size > 1) == (strategy == "none") or (strategy, reduction) == (FSDP, "fast"):
        what = f"strategy {strategy}, {reduction}, on {size} processes"
        action = "start 1, 2, 4, ... processes with torchrun; none is for one, ddp and fsdp for several, fast for ddp"
        raise ConfigError("PARALLEL_WORLD", what, where="--parallel", action=action)
    if size == 1:
        yield World(behind=behind, ahead=ahead)
        return
    for name in ("RANK", "MASTER_PORT"):
        _variable(name)
    if not os.environ.get("MASTER_ADDR"):
        raise _unsaid("MASTER_ADDR", "a launcher's variable is not set", "nothing")
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(_variable("LOCAL_RANK", "0"))
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield World(rank=dist.get_rank(), size=size, strategy=strategy, reduction=reduction, behind=behind, ahead=ahead)
    finally:
        dist.destroy_process_group()


def _variable(name: str, otherwise: str = "") -> int:
    """What the environment says by a variable of torchrun's."""
    text = os.environ.get(name, otherwise)
    if not text.isdecimal():
        raise _unsaid(name, "a launcher's variable is no number", text or "nothing")
    return int(text)


def _unsaid(name: str, what: str, found: str) -> ConfigError:
    action = "start the processes with torchrun"
    return ConfigError("PARALLEL_ENVIRONMENT", what, where=name, found=found, action=action)


@contextlib.contextmanager
def heard_in_passes() -> Iterator[None]:
    """As around this project's own messages, where torch itself sends some among much else that it does."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistBackendError) or "/gloo/" in str(error)):
            raise
        with _heard():
            raise


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """What torch raises when another process is gone, as an error with a code."""
    try:
        yield
    except RuntimeError as error:
        action = "look at the first process that failed; a run goes on from its newest checkpoint"
        raise TrainingError(LOST, f"another process is gone: {error}", action=action) from error
