"""What the UI shows of a gate that judged text mazes: exact match by depth and segments, solved and failed mazes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from assets_data.documents import read_result
from assets_data.lineage import Snapshot
from assets_data.pictures import png

SEGMENTS = (2, 4, 6, 8, 12)
"""Numbers of segments that have a line of their own, where so many are run."""
CELLS = {"#": 0, "x": 1, "o": 2, "S": 3}
COLOURS = ("#404040", "#f0f0f0", "#7fb3e6", "#1f4f99")
DEEPEST_TRAINED = 5


def gate_figures(report: Snapshot) -> dict[str, bytes]:
    """``{title: PNG}``; nothing of a report that judged no mazes."""
    metrics = read_result(report)["metrics"]
    found: dict[str, bytes] = {}
    if rows := metrics.get("exact_by_depth"):
        found["mazes, exact match by depth"] = depth_figure(rows)
    if rows := metrics.get("mazes"):
        found["mazes, solved and failed"] = _mazes(rows)
    return found


def depth_figure(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A line per number of segments; a model that does not loop has one line."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    depths = [row["depth"] for row in rows]
    shown = [count for count in SEGMENTS if f"segments_{count}" in rows[0]]
    for count in shown or (1,):
        label = f"{count} segments" if shown else "no core over tokens"
        axes.plot(depths, [row[f"segments_{count}"] for row in rows], marker="o", label=label)
    axes.axvline(DEEPEST_TRAINED + 0.5, color="grey", linestyle="--", linewidth=1)
    axes.set(xlabel="depth (trained on: left of the line)", ylabel="mazes right in every cell", ylim=(-0.02, 1.02))
    axes.legend()
    return png(figure)


def _mazes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A column per maze: the right answer above the model's, wrong cells crossed out."""
    figure = Figure(figsize=(1.6 * len(rows), 3.8), layout="constrained")
    for column, row in enumerate(rows):
        right, answer = _cells(row["right"]), _cells(row["answer"])
        above, below = (figure.add_subplot(2, len(rows), 1 + column + len(rows) * place) for place in (0, 1))
        _draw(above, right)
        _draw(below, answer)
        wrong = np.argwhere(right != answer)
        below.scatter(wrong[:, 1], wrong[:, 0], marker="x", color="tab:red")
        above.set_title(f"depth {row['depth']}", fontsize="small")
        below.set_xlabel("solved" if row["solved"] else f"{len(wrong)} wrong", fontsize="small")
        if not column:
            above.set_ylabel("truth")
            below.set_ylabel("answer")
    return png(figure)


def _cells(text: str) -> np.ndarray:
    return np.array([[CELLS[letter] for letter in line] for line in text.split()])


def _draw(axes: Axes, cells_RR: np.ndarray) -> None:
    colours = np.array([[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in COLOURS], np.uint8)
    axes.imshow(colours[cells_RR])
    axes.set(xticks=[], yticks=[])
