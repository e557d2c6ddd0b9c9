"""Which lines the next slice takes: whole parts, a number of lines, or lines up to a size, in the index's order.

Takes only what no recorded slice has, so ranges never overlap, however the settings change between two slices.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

from assets_data.lineage import DataError
from assets_data.sources.http.config import HttpConfig
from assets_data.sources.http.ledger import PartEntry, Taken
from assets_data.sources.http.lines import take_lines
from assets_data.sources.parts import Lines

Ranges = tuple[tuple[str, Lines | None], ...]


class Parts(Protocol):
    """Knows parts, fetching what it does not know yet."""

    def known(self, name: str) -> PartEntry:
        """The part's size, digest and lines."""
        ...

    def blocks(self, name: str) -> Iterator[bytes]:
        """The part, unpacked."""
        ...


def next_ranges(names: list[str], taken: Taken, http: HttpConfig, whole_parts: int, parts: Parts) -> Ranges:
    """What the next slice takes; empty when nothing is left. Whole parts are planned without being fetched."""
    if not (http.count or http.size):
        return tuple(_whole_parts(names, taken, whole_parts, parts))
    return tuple(_lines(names, taken, http, parts))


def _whole_parts(names: Iterable[str], taken: Taken, most: int, parts: Parts) -> Iterator[tuple[str, Lines | None]]:
    for name in names:
        if most == 0:
            return
        if not taken.get(name):
            yield name, None
        elif gap := _first_gap(name, taken, 1, parts):
            yield name, _run(name, gap, sys.maxsize, 0, parts)
        else:
            continue
        most -= 1


def _lines(names: Iterable[str], taken: Taken, http: HttpConfig, parts: Parts) -> Iterator[tuple[str, Lines | None]]:
    """At most one run of each part. ``before`` counts the lines of the parts passed, as long as ``start`` needs it."""
    lines_left, bytes_left, before = http.count or sys.maxsize, http.target_bytes, 0
    for name in names:
        low = max(1, http.start - before)
        gap = _first_gap(name, taken, low, parts)
        before += _line_count(name, parts) if low > 1 else 0
        if gap is None:
            continue
        run = _run(name, gap, lines_left, bytes_left, parts)
        yield name, run
        lines_left -= run.last - run.first + 1
        bytes_left -= run.end - run.begin
        if lines_left == 0 or (http.size and bytes_left <= 0):
            return


def _first_gap(name: str, taken: Taken, low: int, parts: Parts) -> tuple[int, int] | None:
    """The first run of lines from ``low`` on that no slice has."""
    runs = taken.get(name, [])
    if None in runs:
        return None
    for run in sorted(run for run in runs if run):
        if low < run.first:
            return low, run.first - 1
        low = max(low, run.last + 1)
    last = _line_count(name, parts)
    return (low, last) if low <= last else None


def _run(name: str, gap: tuple[int, int], most_lines: int, most_bytes: int, parts: Parts) -> Lines:
    first, last = gap
    entry = parts.known(name)
    unpacked = entry.unpacked or 0
    if (first, last) == (1, entry.lines) and last <= most_lines and unpacked <= (most_bytes or unpacked):
        return Lines(1, last, 0, unpacked)
    run = take_lines(parts.blocks(name), first, min(most_lines, last - first + 1), most_bytes)
    if run is None:
        raise DataError("SLICE_NO_LINE", "a part is shorter than the ledger says", expected=first, where=name)
    return run


def _line_count(name: str, parts: Parts) -> int:
    if (lines := parts.known(name).lines) is None:
        action = "leave http.count and http.size out: slices of whole parts take every format"
        raise DataError("SLICE_NOT_LINES", "only JSON lines can be cut into lines", found=name, action=action)
    return lines
