"""Checkpoints at intervals, of the best measurement and always at the end; then retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training import checkpoint
from training.callbacks.base import Callback
from training.callbacks.best import Best
from training.run_directory import BEST, CHECKPOINTS

if TYPE_CHECKING:
    from training.run import Run


class Checkpoints(Callback):
    """Saves, links the best one aside, and removes what newer verified ones cover."""

    def __init__(self, best: Best) -> None:
        self._best = best

    def step_end(self, run: Run) -> None:
        improved = self._best.update == run.update
        if not improved and not run.due(run.plan.checkpoint_every):
            return
        path = run.save()
        if improved:
            checkpoint.link(path, run.directory / BEST, alone=True)
        checkpoint.prune(run.directory / CHECKPOINTS, run.plan.keep_checkpoints)
