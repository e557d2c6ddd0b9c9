"""Curves and margins as inline SVG that takes its colours from the page, so one drawing serves light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 460, 220, 56, 30, 10
TICKS = 4


def curve(title: str, updates: Sequence[float], values: Sequence[float]) -> str:
    """One measurement over the updates; what is not finite is left out."""
    points = [(x, y) for x, y in zip(updates, values, strict=True) if y is not None and math.isfinite(y)]
    if not points:
        return ""
    xs, ys = _span([x for x, _ in points]), _span([y for _, y in points])

    def at(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - xs[0]) / (xs[1] - xs[0]) * (WIDTH - LEFT - 12)
        return across, HEIGHT - BOTTOM - (y - ys[0]) / (ys[1] - ys[0]) * (HEIGHT - BOTTOM - TOP)

    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in _thinned(points)))
    marks = [_horizontal(at(xs[0], y)[1], y) for y in _ticks(ys)] + [_vertical(at(x, ys[0])[0], x) for x in _ticks(xs)]
    line = f'<polyline class="line" points="{path}"/>'
    dot = '<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3"/>'.format(*at(*points[-1]))
    head = f"<figcaption>{escape(title)} <b>{points[-1][1]:.4g}</b></figcaption>"
    return (
        f'<figure>{head}<svg viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(title)} over updates">{"".join(marks)}{line}{dot}</svg></figure>'
    )


def margins(rows: Sequence[Mapping[str, Any]]) -> str:
    """Each criterion's interval, value and threshold on one common scale per row of the table."""
    shown = [row for row in rows if row["value"] is not None]
    if not shown:
        return ""
    every = [v for row in shown for v in (row["value"], row["threshold"], *(row["interval"] or ()))]
    low, high = _span(every)
    label, across, step = 190, 640, 26

    def at(value: float) -> float:
        return label + (value - low) / (high - low) * (across - label - 20)

    parts = []
    for place, row in enumerate(shown):
        y = place * step + 16
        begin, end = row["interval"] or (row["value"], row["value"])
        parts.append(
            f'<text class="label" x="{label - 10}" y="{y + 4}" text-anchor="end">{escape(_short(row["name"]))}</text>'
            f'<line class="rail" x1="{label}" x2="{across - 20}" y1="{y}" y2="{y}"/>'
            f'<line class="interval {row["verdict"]}" x1="{at(begin):.1f}" x2="{at(end):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="value {row["verdict"]}" cx="{at(row["value"]):.1f}" cy="{y}" r="5"/>'
            f'<line class="threshold" x1="{at(row["threshold"]):.1f}" x2="{at(row["threshold"]):.1f}" '
            f'y1="{y - 9}" y2="{y + 9}"/>'
        )
    height = len(shown) * step + 30
    ends = "".join(_axis_text(at(v), height - 6, v) for v in (low, (low + high) / 2, high))
    head = f'<svg class="margins" viewBox="0 0 {across} {height}" role="img" aria-label="margins">'
    return f"{head}{''.join(parts)}{ends}</svg>"


def _short(name: str) -> str:
    return name if len(name) <= 28 else name[:27] + "…"


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _ticks(span: tuple[float, float]) -> list[float]:
    """About four round numbers within a span."""
    raw = (span[1] - span[0]) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
    first = math.ceil(span[0] / step)
    return [number * step for number in range(first, math.floor(span[1] / step) + 1)]


def _thinned(points: Sequence[tuple[float, float]], most: int = 600) -> Sequence[tuple[float, float]]:
    step = max(1, len(points) // most)
    return [*points[::step], points[-1]]


def _horizontal(y: float, value: float) -> str:
    line = f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{line}<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>'


def _vertical(x: float, value: float) -> str:
    return _axis_text(x, HEIGHT - 8, value)


def _axis_text(x: float, y: float, value: float) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{value:.4g}</text>'
