"""One bar over the whole run, on terminals only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tqdm import tqdm

from training.callbacks.base import Callback

if TYPE_CHECKING:
    from training.run import Run


class Progress(Callback):
    """Updates done of all, with the last known numbers."""

    def train_begin(self, run: Run) -> None:
        self._bar = tqdm(total=run.plan.updates, initial=run.update, unit="update", disable=None, mininterval=0.5)

    def step_end(self, run: Run) -> None:
        self._bar.update()
        if run.due(run.plan.log_every):
            self._bar.set_postfix(run.journal.headlines, refresh=False)

    def train_end(self, run: Run) -> None:
        self._bar.close()
