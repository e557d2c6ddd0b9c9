"""Checkpoints at intervals, of the best measurement and always at the end; then retention."""

from __future__ import annotations

from pathlib import Path
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
        writing = run.pending is not None and not run.pending.saving.written
        flags = [improved or run.due(run.plan.checkpoint_every), run.finished, writing]
        wanted, final, writing = run.world.any(*flags) if run.sharded else flags
        if run.pending and not writing:
            run.settle()
        if wanted and run.world.behind and not final:
            run.save_behind(lambda path: self._keep(run, path, improved))
        elif wanted:
            self._keep(run, run.save(), improved)

    def _keep(self, run: Run, path: Path, improved: bool) -> None:
        if not run.world.leads:
            return
        if improved:
            checkpoint.link(path, run.directory / BEST, alone=True)
        checkpoint.prune(run.directory / CHECKPOINTS, run.plan.keep_checkpoints)
