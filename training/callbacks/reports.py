"""Where a training is, as log lines: for event logs, files and terminals that no bar can be drawn on.

A line when a log interval ends, at most one every two seconds, and after ten seconds in any case; the numbers are those
that the log fetched last, so nothing asks the device. Dagster shows the logger ``training`` in a run's event log.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from training.callbacks.base import Callback

if TYPE_CHECKING:
    from training.run import Run

log = logging.getLogger(__name__)

SOONEST_S, LATEST_S = 2.0, 10.0


class Reports(Callback):
    """``update 250 of 600: loss 1.545, 52,097 tokens/s, 6 s left``."""

    def train_begin(self, run: Run) -> None:
        self._since = self._said = time.monotonic()
        self._from, self._last = run.update, 0
        log.info("update %s of %s: begins, on %s", f"{run.update:,}", f"{run.plan.updates:,}", run.device.type)

    def step_end(self, run: Run) -> None:
        quiet = time.monotonic() - self._said
        first = not self._last and run.due(run.plan.log_every)
        if run.finished or first or quiet >= (SOONEST_S if run.due(run.plan.log_every) else LATEST_S):
            self._said, self._last = time.monotonic(), run.update
            log.info("%s", self._line(run))

    def _line(self, run: Run) -> str:
        done, seconds = run.update - self._from, time.monotonic() - self._since
        rate, left = done / seconds, run.plan.updates - run.update
        loss = run.journal.latest.get("loss")
        facts = [
            f"loss {loss:.4g}" if loss is not None else "",
            f"{rate * run.plan.batch_rows * run.data.items_per_row:,.0f} {run.recipe.item}/s",
            f"done in {seconds:,.0f} s" if run.finished else f"{left / rate:,.0f} s left",
        ]
        return f"update {run.update:,} of {run.plan.updates:,}: {', '.join(filter(None, facts))}"
