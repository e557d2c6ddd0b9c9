"""Six hooks around the loop, and what the loop needs that is built on them: log, monitor, checkpoints, progress.

A callback looks at the run and may write files; it never changes weights, generators or order, so any of them can be
taken out without changing the result. Hooks fire in list order.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from training import checkpoint
from training.environment import autocast
from training.run_directory import CHECKPOINTS

if TYPE_CHECKING:
    from training.run import Run


class Callback:
    """All six hooks, doing nothing. ``run.update`` counts finished updates."""

    def train_begin(self, run: Run) -> None: ...
    def train_end(self, run: Run) -> None: ...
    def epoch_begin(self, run: Run) -> None: ...
    def epoch_end(self, run: Run) -> None: ...
    def step_begin(self, run: Run) -> None: ...
    def step_end(self, run: Run) -> None: ...


class Log(Callback):
    """Losses, rate and gradient norm of every update, fetched from the device once per interval; timings apart."""

    def train_begin(self, run: Run) -> None:
        self._since, self._from = time.perf_counter(), run.update

    def step_end(self, run: Run) -> None:
        run.journal.note(run.step)
        if run.due(run.plan.log_every):
            run.journal.commit()
            now, updates = time.perf_counter(), run.update - self._from
            run.items_per_s = updates * run.plan.batch_rows * run.data.items_per_row / (now - self._since)
            timing = {"update": run.update, "seconds": run.seconds(), "step_ms": 1e3 * (now - self._since) / updates}
            run.timings.append({**timing, f"{run.recipe.item}_per_s": run.items_per_s})
            self._since, self._from = now, run.update

    def epoch_end(self, run: Run) -> None:
        run.journal.commit()
        points = " ".join(f"{name} {value:.4g}" for name, value in run.journal.latest.items())
        speed = f"{run.items_per_s:,.0f} {run.recipe.item}/s"
        tqdm.write(f"epoch {run.step.epoch} update {run.update:,}/{run.plan.updates:,} {points} {speed}")


class Monitor(Callback):
    """Held-out measurements at intervals and at the end, on a model in evaluation mode and a forked generator."""

    def step_end(self, run: Run) -> None:
        if run.due(run.plan.monitor_every):
            with evaluating(run.model), autocast(run.plan, run.device):
                points = run.recipe.monitor(run.model, run.data, run.config)
            run.journal.record(run.update, points)


class Checkpoints(Callback):
    """A checkpoint at intervals and always at the end, then retention."""

    def step_end(self, run: Run) -> None:
        if run.due(run.plan.checkpoint_every):
            run.save()
            checkpoint.prune(run.directory / CHECKPOINTS, run.plan.keep_checkpoints)


class Progress(Callback):
    """One bar over the whole run, on terminals only."""

    def train_begin(self, run: Run) -> None:
        self._bar = tqdm(total=run.plan.updates, initial=run.update, unit="update", disable=None, mininterval=0.5)

    def step_end(self, run: Run) -> None:
        self._bar.update()
        if run.due(run.plan.log_every):
            self._bar.set_postfix(run.journal.latest, refresh=False)

    def train_end(self, run: Run) -> None:
        self._bar.close()


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; mode and generators are put back afterwards."""
    was_training = model.training
    with torch.no_grad(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        model.eval()
        try:
            yield
        finally:
            model.train(was_training)
