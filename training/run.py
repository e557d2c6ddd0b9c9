"""One run: what it holds, how it begins, is saved, continues. The updates are in :mod:`training.loop`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from assets_data.lineage import to_dict
from training import checkpoint, state
from training.config import TrainConfig
from training.environment import autocast, bit_facts, derived_seed
from training.finite import FiniteGuard
from training.journal import Journal, Step
from training.metrics import EMPTY, JsonLines
from training.optim import build_optimizer
from training.order import Order
from training.recipe import Data, Recipe
from training.resume import inexact_reasons, refuse_other_run
from training.run_directory import CHECKPOINTS, METRICS, TIMINGS


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
    model: nn.Module
    optimizer: torch.optim.Optimizer
    order: Order
    guard: FiniteGuard
    journal: Journal
    timings: JsonLines
    update: int = 0
    step: Step = field(init=False)
    items_per_s: float = 0.0
    inexact: list[str] = field(default_factory=list)
    elapsed: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @property
    def finished(self) -> bool:
        """All updates are done."""
        return self.update >= self.plan.updates

    @property
    def final(self) -> Path:
        """Where the checkpoint of the last update is, or will be."""
        return self.directory / CHECKPOINTS / f"{self.plan.updates:08d}"

    def due(self, every: int) -> bool:
        """Whether something done at intervals falls on the update just finished; everything falls on the last."""
        return self._falls_on(self.update, every)

    def _falls_on(self, update: int, every: int) -> bool:
        return update == self.plan.updates or (every > 0 and update % every == 0)

    def asks_device(self, update: int) -> bool:
        """Whether the host looks at the device's numbers in this update: always on the CPU, else where it must."""
        if self.device.type == "cpu" or not self.guard.can_skip:
            return True
        plan = self.plan
        return any(self._falls_on(update, n) for n in (plan.log_every, plan.monitor_every, plan.checkpoint_every))

    def losses(self, rows: np.ndarray, epochs: np.ndarray) -> dict[str, Tensor]:
        """The recipe's losses of some rows, on the run's device and in its precision."""
        batch = self.recipe.batch(self.data, self.config, rows, epochs)
        moved = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        with autocast(self.plan, self.device):
            return self.recipe.loss(self.model, moved)

    def seconds(self) -> float:
        """Seconds spent on this run, over every process that continued it."""
        return self.elapsed + time.perf_counter() - self.started

    def save(self) -> None:
        """Write the checkpoint of the present update, unless it is there. Raises StorageError; the old ones stay."""
        folder = self.directory / CHECKPOINTS
        if (folder / f"{self.update:08d}").exists():
            return
        tensors, numbers = state.capture(self.model, self.optimizer)
        facts = {
            "fingerprint": self.fingerprint,
            "environment": bit_facts(self.device),
            "inexact": self.inexact,
            "history": self.journal.position(),
            "optimizer": numbers,
            "elapsed_s": self.seconds(),
        }
        checkpoint.save(folder, self.update, tensors, facts)

    def close(self) -> None:
        """Close the logs."""
        self.journal.close()
        self.timings.close()


def open_run(recipe: Recipe, config: Any, data: Data, directory: Path, device: torch.device, code: str) -> Run:
    """A run at update 0: the model drawn from its own seed, the optimizer, the order, the logs."""
    plan: TrainConfig = config.train
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derived_seed(plan.seed, "model"))
        model = recipe.build_model(config, recipe.model_inputs(data, config)).to(device)
    optimizer = build_optimizer(model, plan.optimizer)
    fingerprint = {"recipe": recipe.name, "config": to_dict(config), "corpus": dict(data.members), "code": code}
    return Run(
        recipe=recipe,
        config=config,
        plan=plan,
        data=data,
        directory=directory,
        device=device,
        fingerprint=fingerprint,
        model=model,
        optimizer=optimizer,
        order=Order(derived_seed(plan.seed, "order"), data.row_keys, plan.batch_rows),
        guard=FiniteGuard(optimizer, device),
        journal=Journal(directory / METRICS),
        timings=JsonLines(directory / TIMINGS),
    )


def continue_run(run: Run) -> None:
    """Go to where the newest good checkpoint left off; without one, to the beginning with an empty history."""
    folder = run.directory / CHECKPOINTS
    checkpoint.sweep(folder)
    found = checkpoint.newest(folder)
    if found is None:
        run.journal.rewind(EMPTY)
        return
    path, saved = found
    refuse_other_run(saved["fingerprint"], run.fingerprint, path)
    state.restore(run.model, run.optimizer, checkpoint.load_tensors(path, saved), saved["optimizer"])
    run.journal.rewind(saved["history"])
    run.update, run.elapsed = saved["update"], saved["elapsed_s"]
    run.inexact = [*saved["inexact"], *inexact_reasons(saved["environment"], bit_facts(run.device))]
