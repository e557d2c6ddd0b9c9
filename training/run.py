"""One run: what it holds, and how it is saved. It begins in :mod:`training.beginning`, updates are in
:mod:`training.loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from training.config import TrainConfig
from training.data import Data, Rows
from training.environment import autocast, bit_facts
from training.feed import Feed
from training.finite import FiniteGuard
from training.generators import forked_generators
from training.journal import Journal, Step
from training.metrics import JsonLines
from training.optimizer_calls import OptimizerCalls
from training.order import Order, OrderDigest
from training.parallel.replica import Replica
from training.parallel.world import ALONE, World
from training.precision import Precision
from training.profile import Profile
from training.recipe import Recipe
from training.run_directory import CHECKPOINTS
from training.saving import Pending, Saving
from training.schedules import Curve

if TYPE_CHECKING:
    from training.callbacks import Callback
    from training.parallel.sharded import Sharded


@dataclass(slots=True, kw_only=True)
class Run:
    """Everything one run holds. Callbacks read it; only the loop changes it. ``update`` counts finished updates."""

    recipe: Recipe
    config: Any
    plan: TrainConfig
    data: Data
    directory: Path
    device: torch.device
    fingerprint: Mapping[str, Any]
    references: Mapping[str, Any]
    model: nn.Module
    parameters: Sequence[nn.Parameter]
    """The model's, listed once: walking through its modules takes longer than many a kernel."""
    optimizer: torch.optim.Optimizer
    calls: OptimizerCalls
    precision: Precision
    schedule: Curve
    order: Order
    guard: FiniteGuard
    journal: Journal
    timings: JsonLines
    hooks: Sequence[Callback] = ()
    update: int = 0
    ended: bool = False
    """A callback ended the run before its last update."""
    rows_digest: OrderDigest = field(default_factory=OrderDigest)
    step: Step = field(init=False)
    inexact: list[str] = field(default_factory=list)
    taken_over: Mapping[str, Any] = field(default_factory=dict)
    """The state of another run that this one went on from, where it would have passed through that very state."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """Where this process trains: the report as it was under the run's own settings."""
    profile: Profile = field(default_factory=Profile)
    feed: Feed = field(init=False)
    """The batches of each update."""
    world: World = ALONE
    """The processes that train it; those that do not lead have no history, trackers or checkpoints of their own."""
    replica: Replica | None = None
    """The model as torch's DDP has it, where the reduction is fast."""
    sharded: Sharded | None = None
    """The model as torch's FSDP2 has it. ``parameters``, and what the optimizer keeps, are this process's rows then."""

    pending: Pending | None = None
    """A checkpoint that is being written behind the run."""
    twin: nn.Module | None = None
    """On rank 0 a whole model to measure on, where ``model`` is cut."""

    def make_twin(self) -> nn.Module:
        """A whole model of the same config, with weights of its own; no generator moves."""
        with forked_generators():
            inputs = self.recipe.model_inputs(self.data, self.config)
            return self.recipe.build_model(self.config, inputs).to(self.device)

    def __post_init__(self) -> None:
        self.feed = Feed(self)

    @property
    def finished(self) -> bool:
        """There is no update left to do."""
        return self.ended or self.update >= self.plan.updates

    @property
    def final(self) -> Path:
        """Where the checkpoint of the last update is, or will be."""
        return self.directory / CHECKPOINTS / f"{self.update if self.ended else self.plan.updates:08d}"

    def due(self, every: int) -> bool:
        """Whether something done at intervals falls on the update just finished; everything falls on the last."""
        return self.finished or (every > 0 and self.update % every == 0)

    def asks_device(self, update: int) -> bool:
        """Whether the host looks at the update's numbers: always where it must do the skipping, else at intervals."""
        if not self.guard.can_skip or update == self.plan.updates:
            return True
        plan = self.plan
        measures = (plan.monitor_every, plan.validate_every, plan.collapse_every)
        intervals = (plan.log_every, plan.checkpoint_every, *measures)
        return any(every > 0 and update % every == 0 for every in intervals)

    def batch(self, data: Rows, rows: np.ndarray, epochs: np.ndarray) -> tuple[dict[str, Tensor], int]:
        """The recipe's CPU batch of some rows, and how many items its losses are means of."""
        batch, items = self.recipe.batch(data, self.config, rows, epochs), self.recipe.items
        return batch, len(rows) if items is None else items(batch)

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The recipe's losses of a batch, on the run's device and in its precision."""
        moved = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        with autocast(self.plan, self.device):
            return self.recipe.loss(self.model, self.config, moved)

    def clip(self) -> Tensor:
        """Scale the gradient down to ``grad_clip``, if it is longer; the norm it had."""
        limit = self.plan.grad_clip or float("inf")
        if self.sharded is None:
            return nn.utils.clip_grad_norm_(self.parameters, limit)
        norm = self.sharded.grad_norm()
        nn.utils.clip_grads_with_norm_(self.parameters, limit, norm)
        return norm

    def bit_facts(self) -> dict[str, Any]:
        """What must stay the same for a resumed run to be bit-equal."""
        return {**bit_facts(self.device), **self.world.bit_facts()}

    def save(self) -> Path:
        """Write the present update's checkpoint, unless it is there: on rank 0, or every process its pieces.

        What is being written behind the run is published before. Raises StorageError; old ones stay.
        """
        self.settle()
        saving = self._saving()
        if saving is None:
            return self._place()
        saving.write()
        return saving.publish()

    def save_behind(self, after: Callable[[Path], None]) -> None:
        """Copy the present update's state, and write it while training goes on; ``after`` is called with the path once
        it was published, by :meth:`settle`. Raises StorageError for the one before.
        """
        self.settle()
        if saving := self._saving():
            saving.write_behind()
            self.pending = Pending(saving, after)

    def settle(self) -> None:
        """Publish what was written behind the run, waiting for it. Raises StorageError when it could not be."""
        if pending := self.pending:
            self.pending = None
            pending.settle()

    def _place(self) -> Path:
        return self.directory / CHECKPOINTS / f"{self.update:08d}"

    def _saving(self) -> Saving | None:
        path = self._place()
        there = path.exists() or not self.world.leads
        return None if (self.world.tell(there) if self.sharded else there) else Saving(self, path)

    def close(self) -> None:
        """Close the logs and what callbacks hold; what was written behind the run is published, or of a model that is
        cut let go, as the other processes may be gone.
        """
        try:
            if self.pending and self.sharded:
                self.pending.saving.drop()
            else:
                self.settle()
        finally:
            self.feed.close()
            for hook in self.hooks:
                hook.close()
            try:
                self.journal.close()
            finally:
                self.timings.close()
