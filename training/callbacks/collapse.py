"""Watches a recipe's inner states for collapse, on a held-out probe. The numbers are :mod:`training.collapse`'s."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from training.callbacks.base import Callback
from training.callbacks.measure import chosen_rows, measuring
from training.collapse import alerts, collapse_metrics
from training.environment import autocast

if TYPE_CHECKING:
    from training.run import Run

log = logging.getLogger(__name__)

PROBE_ROWS, VECTORS = 64, 512


class Collapse(Callback):
    """Measures at intervals and at the end; warns when a criterion begins to be met. Baselines survive a resume.

    Does nothing for a recipe without ``states`` or a run without held-out rows.
    """

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.met: dict[str, list[str]] = {}

    def train_begin(self, run: Run) -> None:
        rows = run.data.validation if run.recipe.states else None
        self._rows = np.empty(0, np.int64) if rows is None else chosen_rows(run, rows.row_keys)[:PROBE_ROWS]

    def step_end(self, run: Run) -> None:
        if not len(self._rows) or not run.due(run.plan.collapse_every):
            return
        points: dict[str, float] = {}
        for name, predicted_ND, target_ND in probe(run, self._rows):
            metrics = collapse_metrics(predicted_ND, target_ND)
            self._judge(run.update, name, metrics)
            points |= {f"{name}/{metric}": value for metric, value in metrics.items()}
            points[f"{name}/collapse_alerts"] = float(len(self.met[name]))
        if points:
            run.journal.record(run.update, points)

    def state(self) -> dict[str, Any]:
        return {"first": self.first, "met": self.met} if self.first else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.first, self.met = dict(state.get("first", {})), dict(state.get("met", {}))

    def _judge(self, update: int, name: str, metrics: Mapping[str, float]) -> None:
        distance = metrics["pairwise_pred_dist_mean"]
        if math.isfinite(distance):
            self.first.setdefault(name, distance)
        met = alerts(metrics, self.first.get(name, distance))
        for criterion in met:
            if criterion not in self.met.get(name, []):
                value = metrics[criterion]
                log.warning("update %d: %s may collapse: %s is %.4g", update, name, criterion, value)
        self.met[name] = met


def probe(run: Run, rows: np.ndarray) -> Iterator[tuple[str, Tensor, Tensor]]:
    """``(name, predicted_ND, target_ND)`` of the recipe's states on held-out rows, at most 512 vectors of each."""
    states, data = run.recipe.states, run.data.validation
    if states is None or data is None:
        return
    batch, _ = run.batch(data, rows, np.zeros(len(rows), np.int64))
    moved = {name: value.to(run.device) for name, value in batch.items()}
    with measuring(run), autocast(run.plan, run.device):
        found = states(run.model, run.config, moved)
    for name, (predicted_ND, target_ND) in found.items():
        step = max(1, math.ceil(len(predicted_ND) / VECTORS))
        if len(predicted_ND) > 1:
            yield name, predicted_ND[::step], target_ND[::step]
