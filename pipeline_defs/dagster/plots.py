"""Curves and verdicts as PNG bytes for the UI. Reads what any recipe writes; draws without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from assets_data.documents import read_result
from assets_data.lineage import Snapshot
from assets_data.pictures import png
from training.metrics import LOSS, curves

WIDE = 20.0
Curves = Mapping[str, Mapping[str, Sequence[float]]]
"""Name to ``{"updates", "values"}``."""


def training_figure(checkpoint: Snapshot) -> bytes:
    """Loss per update, and every held-out measurement over the updates, side by side."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    loss, measured = figure.subplots(1, 2)
    _draw_curves(loss, measured, curves(checkpoint.file("metrics.jsonl")))
    return png(figure)


def gate_figure(report: Snapshot) -> bytes:
    """The training's curves, and each judged measurement with its 95% interval and its registered threshold."""
    result = read_result(report)
    criteria = result["gate"]["criteria"]
    figure = Figure(figsize=(13, max(4, 0.4 * len(criteria))), layout="constrained")
    loss, measured, judged = figure.subplots(1, 3)
    _draw_curves(loss, measured, result["metrics"]["curves"])
    _draw_criteria(judged, criteria)
    return png(figure)


def _draw_curves(loss: Axes, measured: Axes, drawn: Curves) -> None:
    loss.plot(drawn[LOSS]["updates"], drawn[LOSS]["values"], linewidth=0.8)
    loss.set(title="training loss", xlabel="update")
    for name in sorted(set(drawn) - {LOSS}):
        measured.plot(drawn[name]["updates"], drawn[name]["values"], marker=".", label=name.replace("_", " "))
    measured.set(title="held out, during training", xlabel="update")
    if any(abs(value) > WIDE for name in set(drawn) - {LOSS} for value in drawn[name]["values"]):
        measured.set_yscale("symlog", linthresh=1.0)  # shares and losses stay readable beside large numbers
    if set(drawn) - {LOSS}:
        measured.legend(fontsize="small")


def _draw_criteria(axes: Axes, criteria: Sequence[Mapping[str, Any]]) -> None:
    for row, criterion in enumerate(criteria):
        value = criterion["value"] or 0.0
        colour = {"pass": "tab:green", "fail": "tab:red"}.get(criterion["verdict"], "tab:gray")
        axes.barh(row, value, color=colour, alpha=0.5)
        axes.plot(criterion["interval"] or (value, value), (row, row), color="black", linewidth=1.5)
        axes.plot((criterion["threshold"],) * 2, (row - 0.4, row + 0.4), color="tab:blue", linewidth=2)
    names = [f"{criterion['name'].replace('_', ' ')} ({criterion['checks']})" for criterion in criteria]
    axes.set_yticks(range(len(criteria)), names)
    axes.invert_yaxis()
    axes.set(title="gate", xlabel="value, 95% interval (black), threshold (blue)")
