"""The flow as an SVG picture: stages in rows below what they are made from, as the declarations say.

A small layered drawing (Sugiyama, Tagawa and Toda 1981): a row is the longest way from a source, a line over several
rows gets a place in each, and places within a row are sorted by the mean place of what is above and below.
"""

from __future__ import annotations

import graphlib
from collections.abc import Mapping
from html import escape

from docs.generate.declared import owners

WIDTH, HEIGHT, ACROSS, DOWN, GAP = 168, 30, 188, 58, 16  # px: box, and from box to box
Links = dict[str, set[str]]  # node -> what it is made from
STYLE = (
    "text{font:12px sans-serif;text-anchor:middle;dominant-baseline:central;fill:#1f2328}"
    "rect{fill:#f6f8fa;stroke:#57606a}path{fill:none;stroke:#8c959f;stroke-width:1.2}.bg{fill:#fff;stroke:none}"
)


def draw_flow() -> str:
    """All assets of the tree, as one SVG element."""
    stages = {s.kind: s for group in owners().values() for s in group if not s.on_request}
    links = shortest_links({kind: {i.kind for i in s.inputs.values()} & set(stages) for kind, s in stages.items()})
    rows = _rows(links)
    full = _with_bends(links, rows)
    places = _places(full, _ordered(full, rows))
    width, height = max(x for x, _ in places.values()) + WIDTH / 2 + GAP, max(y for _, y in places.values()) + HEIGHT
    lines = [_curve(places[above], places[node]) for node, parents in full.items() for above in sorted(parents)]
    lines += [_through(*places[node]) for node in full if node not in stages]
    boxes = [_box(kind, stage.sliced, *places[kind]) for kind, stage in stages.items()]
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="the flow of stages">'
    ground = '<rect class="bg" width="100%" height="100%"/>'
    return "".join([head, f"<style>{STYLE}</style>", ground, *lines, *boxes, "</svg>\n"])


def shortest_links(links: Mapping[str, set[str]]) -> Links:
    """The same graph without the links that longer ways imply."""

    def above(node: str) -> set[str]:
        return links[node] | {far for parent in links[node] for far in above(parent)}

    return {node: {p for p in parents if not any(p in above(q) for q in parents)} for node, parents in links.items()}


def _rows(links: Links) -> dict[str, int]:
    """The longest way from a source. A recipe may read one whose name comes later."""
    rows: dict[str, int] = {}
    for node in graphlib.TopologicalSorter(links).static_order():
        rows[node] = max((rows[parent] + 1 for parent in links[node]), default=0)
    return rows


def _with_bends(links: Links, rows: dict[str, int]) -> Links:
    """Every link reaches one row only: longer ones go over nodes without a box, which are added to ``rows``."""
    full: Links = {node: set() for node in links}
    for node, parents in links.items():
        for parent in sorted(parents):
            last = parent
            for row in range(rows[parent] + 1, rows[node]):
                bend = f"{parent}>{node}@{row}"
                rows[bend], full[bend] = row, {last}
                last = bend
            full[node].add(last)
    return full


def _ordered(full: Links, rows: Mapping[str, int]) -> list[list[str]]:
    layers = [sorted(n for n in full if rows[n] == row) for row in range(max(rows.values()) + 1)]
    below: Links = {node: {n for n, parents in full.items() if node in parents} for node in full}
    for turn in range(8):
        for layer in layers if turn % 2 == 0 else reversed(layers):
            place = {node: i - len(other) / 2 for other in layers for i, node in enumerate(other)}
            beside = {node: (full if turn % 2 == 0 else below)[node] for node in layer}
            layer.sort(key=lambda n: sum(place[o] for o in beside[n]) / len(beside[n]) if beside[n] else place[n])
    return layers


def _places(full: Links, layers: list[list[str]]) -> dict[str, tuple[float, float]]:
    """The middle of each node: rows are centred."""
    widest = max(map(len, layers))
    middle = GAP + WIDTH / 2 + (widest - 1) * ACROSS / 2
    return {
        node: (middle + (i - (len(layer) - 1) / 2) * ACROSS, GAP + HEIGHT / 2 + row * DOWN)
        for row, layer in enumerate(layers)
        for i, node in enumerate(layer)
    }


def _curve(above: tuple[float, float], below: tuple[float, float]) -> str:
    (x0, y0), (x1, y1) = (above[0], above[1] + HEIGHT / 2), (below[0], below[1] - HEIGHT / 2)
    bend = (y1 - y0) / 2
    return f'<path d="M{x0:.0f} {y0:.0f}C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} {x1:.0f} {y1:.0f}"/>'


def _through(x: float, y: float) -> str:
    return f'<path d="M{x:.0f} {y - HEIGHT / 2:.0f}V{y + HEIGHT / 2:.0f}"/>'


def _box(kind: str, sliced: bool, x: float, y: float) -> str:
    def frame(shift: int) -> str:
        left, top = x - WIDTH / 2 + shift, y - HEIGHT / 2 - shift
        return f'<rect x="{left:.0f}" y="{top:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>'

    return f'{frame(4) if sliced else ""}{frame(0)}<text x="{x:.0f}" y="{y:.0f}">{escape(kind)}</text>'
