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
    """Saves, links the best one aside, and removes what newer verified ones cover.

    Only rank 0 knows the best. The others have one of these where the model is cut, to save their pieces.
    """

    def __init__(self, best: Best | None = None) -> None:
        self._best = best

    def step_end(self, run: Run) -> None:
        improved = self._best is not None and self._best.update == run.update
        wanted = improved or run.due(run.plan.checkpoint_every)
        if not (run.world.any(wanted)[0] if run.sharded else wanted):
            return
        path = run.save()
        if not run.world.leads:
            return
        if improved:
            checkpoint.link(path, run.directory / BEST, alone=True)
        checkpoint.prune(run.directory / CHECKPOINTS, run.plan.keep_checkpoints)
