"""Keeps track of the best held-out measurement, and ends a run that no longer improves on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assets_data.lineage import ConfigError
from training.callbacks.base import Callback

if TYPE_CHECKING:
    from training.run import Run


class Best(Callback):
    """The best value of ``train.best.metric`` and its update; patience counts measurements against the best."""

    def __init__(self) -> None:
        self.value: float | None = None
        self.update, self.stale, self._from = -1, 0, 0

    def train_begin(self, run: Run) -> None:
        self._from = run.update

    def step_end(self, run: Run) -> None:
        plan, update = run.plan.best, run.journal.measured.get(run.plan.best.metric)
        if update != run.update:
            self._refuse_unknown(run)
            return
        if self._improves(run.journal.latest[plan.metric], plan.mode == "min", plan.min_delta):
            self.value, self.update, self.stale = run.journal.latest[plan.metric], run.update, 0
            return
        self.stale += 1
        if plan.patience and self.stale >= plan.patience and run.update >= plan.grace:
            run.ended = True

    def state(self) -> dict[str, Any]:
        return {"value": self.value, "update": self.update, "stale": self.stale}

    def restore(self, state: Mapping[str, Any]) -> None:
        if state:
            self.value, self.update, self.stale = state["value"], state["update"], state["stale"]

    def _improves(self, value: float, less: bool, min_delta: float) -> bool:
        if not math.isfinite(value):
            return False  # undefined is no improvement, and patience goes on counting
        if self.value is None:
            return True
        return self.value - value > min_delta if less else value - self.value > min_delta

    def _refuse_unknown(self, run: Run) -> None:
        """Patience with a metric that nobody measures would wait for ever: say so once everything was measured."""
        plan, measured = run.plan, run.journal.measured
        all_measured = run.update - self._from >= max(plan.validate_every, plan.monitor_every)
        if plan.best.patience and all_measured and plan.best.metric not in measured:
            found = plan.best.metric
            raise ConfigError("BEST_METRIC_UNKNOWN", "never measured", expected=sorted(measured), found=found)
