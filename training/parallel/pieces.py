"""What a run whose model is cut over processes does together: be cut, save in pieces, be whole for a measurement."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from assets_data.lineage import StorageError
from training.checkpoint import Draft, tensor_bytes
from training.config import TrainConfig
from training.layout import cpu_copy
from training.parallel.world import World
from training.shards import Place
from training.state import Tensors

if TYPE_CHECKING:
    from training.parallel.sharded import Sharded

DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"""The names that safetensors has for them."""


def shard(model: nn.Module, plan: TrainConfig, world: World, device: torch.device) -> Sharded:
    """Cut ``model`` over the processes, which must have drawn the same one. Raises ConfigError FSDP_UNFIT."""
    from training.parallel.sharded import Sharded, refuse_unfit

    refuse_unfit(plan, model)
    world.require_same({"weights": digests(model)})
    return Sharded(model, world, device)


def digests(model: nn.Module) -> dict[str, str]:
    """The SHA-256 of every parameter's bytes."""
    return {name: _digest(cpu_copy(value)) for name, value in model.named_parameters()}


class Pieces:
    """This process's share of a checkpoint in the making, which rank 0 lets appear when all have added theirs.

    Made and published by all processes together; writing needs no other. Publishing raises StorageError in every
    process when one of them could not write.
    """

    def __init__(self, sharded: Sharded, final: Path, tensors: Mapping[str, Tensors]) -> None:
        self._world = sharded.world
        held = {part: {} if part == "rng" and not self._world.leads else kept for part, kept in tensors.items()}
        self._tensors = {part: sharded.kept(kept) for part, kept in held.items()}
        self._places: dict[str, dict[str, Place]] = {n: sharded.places(kept) for n, kept in self._tensors.items()}
        cut = {name: value for name, value in sharded.state().items() if name in sharded.shapes}
        self._whole = {name: cpu_copy(value) for name, value in sharded.deal(cut).items()}
        self._whole |= {n: v for n, v in self._tensors["model"].items() if n not in sharded.shapes}
        self._draft, self._error = self._begin(final), ""
        self._entries: list[list[Any]] = []

    def _begin(self, final: Path) -> Draft:
        draft = Draft.begin(final.absolute()) if self._world.leads else None
        final, temp = self._world.tell([str(draft.final), str(draft.temp)] if draft else None)
        return draft or Draft(Path(final), Path(temp))

    def write(self) -> None:
        """Write this process's files, and find the digests of the tensors that it was dealt."""
        try:
            self._draft.write(self._tensors, self._world.rank, self._places)
            self._entries = [[n, DTYPES[v.dtype], list(v.shape), _digest(v)] for n, v in self._whole.items()]
        except Exception as error:  # said by all processes where it is published
            self._error = f"{type(error).__name__}: {error}"

    def publish(self, facts: Mapping[str, Any], beside: Mapping[str, Any]) -> Path:
        """Let the checkpoint appear. Every process must ask, and does so once all have written."""
        own = {"files": self._draft.files, "shards": self._draft.shards, "entries": self._entries, "error": self._error}
        all_of_them, failed = self._world.gather(own), ""
        try:
            if failed := next((each["error"] for each in all_of_them if each["error"]), ""):
                pass
            elif self._world.leads:
                self._publish(all_of_them, facts, beside)
        except StorageError as error:
            failed = str(error)
        finally:
            self.drop()
        if failed := self._world.tell(failed):
            raise StorageError("CHECKPOINT_PIECES", f"a process could not save: {failed}", where=self._draft.final)
        return self._draft.final

    def drop(self) -> None:
        """Let go of it: another process may be gone."""
        if self._world.leads:
            self._draft.drop()

    def _publish(self, found: list[dict[str, Any]], facts: Mapping[str, Any], beside: Mapping[str, Any]) -> None:
        for each in found:
            self._draft.files |= each["files"]
            self._draft.shards |= each["shards"]
        entries = sorted(entry for each in found for entry in each["entries"])
        self._draft.publish(facts, beside, entries)


def _digest(value: Tensor) -> str:
    return hashlib.sha256(tensor_bytes(value).data).hexdigest()
