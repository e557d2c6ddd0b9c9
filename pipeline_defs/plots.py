"""Curves and verdicts as PNG bytes for the UI. Reads what any recipe writes; draws without a display."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from assets_data.lineage import Snapshot


def training_curves(checkpoint: Snapshot) -> bytes:
    """Loss per update, and every held-out measurement over the updates, side by side."""
    records = [json.loads(line) for line in checkpoint.file("metrics.jsonl").read_bytes().splitlines()]
    figure = Figure(figsize=(11, 4), layout="constrained")
    losses, measures = figure.subplots(1, 2)
    _draw_loss(losses, [record for record in records if "loss" in record])
    _draw_monitor(measures, [record for record in records if "monitor" in record])
    return _png(figure)


def gate_figure(report: Snapshot) -> bytes:
    """Each judged measurement with its 95% interval and the threshold registered for it."""
    criteria = report.read_json("result.json")["gate"]["criteria"]
    figure = Figure(figsize=(8, 1 + 0.4 * len(criteria)), layout="constrained")
    _draw_criteria(figure.subplots(), criteria)
    return _png(figure)


def _draw_loss(axes: Axes, records: Sequence[Mapping[str, Any]]) -> None:
    axes.plot([r["update"] for r in records], [r["loss"] for r in records], linewidth=0.8)
    axes.set(title="training loss", xlabel="update", ylabel="nats")


def _draw_monitor(axes: Axes, records: Sequence[Mapping[str, Any]]) -> None:
    for name in sorted({name for record in records for name in record["monitor"]}):
        points = [(r["update"], r["monitor"][name]) for r in records if name in r["monitor"]]
        axes.plot(*zip(*points, strict=True), marker=".", label=name.replace("_", " "))
    axes.set(title="held out, during training", xlabel="update")
    if records:
        axes.legend(fontsize="small")


def _draw_criteria(axes: Axes, criteria: Sequence[Mapping[str, Any]]) -> None:
    for row, criterion in enumerate(criteria):
        value, (low, high) = criterion["value"] or 0.0, criterion["interval"] or (criterion["value"],) * 2
        colour = {"pass": "tab:green", "fail": "tab:red"}.get(criterion["verdict"], "tab:gray")
        axes.barh(row, value, color=colour, alpha=0.5)
        axes.plot([low, high], [row, row], color="black", linewidth=1.5)
        axes.plot([criterion["threshold"]] * 2, [row - 0.4, row + 0.4], color="tab:blue", linewidth=2)
    names = [f"{c['name'].replace('_', ' ')} ({c['checks']})" for c in criteria]
    axes.set_yticks(range(len(criteria)), names)
    axes.invert_yaxis()
    axes.set(title="gate: value, 95% interval, registered threshold (blue)", xlim=(0, 1.02))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()
