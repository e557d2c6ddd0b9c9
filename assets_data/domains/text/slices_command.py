"""``stemma slices``: what an index offers, recording slices of it, and what the ledger knows of slices and parts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the command starts without an HTTP client
    from assets_data.sources.http.ledger import SlicePlan
    from assets_data.sources.http.source import HttpSource


def add_parsers(commands: Any, tools: Any) -> None:
    """Add ``slices`` and its commands to the subparsers of ``stemma``."""
    group = commands.add_parser("slices", help="slices of an HTTP index: plan, add, list, ledger")
    slices = group.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("plan", _plan, "the next slices of whole parts; fetches the index, records nothing"),
        ("add", _add, "record the next slices and register them as partitions"),
    ):
        parser = slices.add_parser(name, help=text)
        parser.add_argument("--set", action="append", default=[], metavar="raw_slice.FIELD=JSON", help="as stemma run")
        parser.add_argument("--config", type=Path, metavar="FILE", help="settings file, as stemma run")
        parser.add_argument("--number", type=int, default=1, help="how many slices")
        _finish(parser, command, tools)
    _finish(
        slices.add_parser("list", help="every recorded slice: its parts, lines, and snapshot once made"), _list, tools
    )
    _finish(slices.add_parser("ledger", help="every fetched part: size, lines, digest, and its slices"), _ledger, tools)


def _finish(parser: argparse.ArgumentParser, command: Any, tools: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=command, tools=tools)


def _plan(options: argparse.Namespace) -> int:
    source = _source(options)
    _print([_slice_row(source, plan) for plan in source.preview(options.number)], options.json)
    return 0


def _add(options: argparse.Namespace) -> int:
    """Exit status 1 when the index has no slice more."""
    source = _source(options)
    plans = source.add(options.number)
    options.tools.register("text", [plan.name for plan in plans])
    _print([_slice_row(source, plan) for plan in plans], options.json)
    return 0 if plans else 1


def _list(options: argparse.Namespace) -> int:
    rows = [_slice_row(source, plan) for source in _recorded(options) for plan in source.ledger.slices()]
    _print(rows, options.json)
    return 0


def _ledger(options: argparse.Namespace) -> int:
    rows = []
    for source in _recorded(options):
        taken: dict[str, list[str]] = {}
        for plan in source.ledger.slices():
            for part, lines in plan.ranges:
                taken.setdefault(part, []).append(f"{plan.name}:{lines.first}-{lines.last}" if lines else plan.name)
        for entry in source.ledger.parts():
            facts = {"bytes": entry.bytes, "lines": entry.lines, "sha256": entry.sha256.removeprefix("sha256:")}
            rows.append({"part": entry.name, **facts, "slices": taken.get(entry.name, []), "url": entry.url})
    _print(rows, options.json)
    return 0


def _slice_row(source: HttpSource, plan: SlicePlan) -> dict[str, Any]:
    """A slice for people; ``lines`` where it is cut into lines or all its parts were fetched."""
    counts = [lines.last - lines.first + 1 if lines else _line_count(source, part) for part, lines in plan.ranges]
    pointer = source.store.pointer(f"text/raw_slice/{plan.name}")
    return {
        "slice": plan.name,
        "parts": [f"{part}:{lines.first}-{lines.last}" if lines else part for part, lines in plan.ranges],
        "lines": None if None in counts else sum(counts),
        "snapshot": pointer["snapshot"] if pointer else None,
    }


def _line_count(source: HttpSource, part: str) -> Any:
    entry = source.ledger.part(part)
    return entry.lines if entry else None


def _print(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """JSON, or one line per row: lists are joined, long ones shortened; nothing known is a dash."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print("none")
        return
    lines = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value[:3]) + (f" and {len(value) - 3} more" if len(value) > 3 else "")
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _source(options: argparse.Namespace) -> HttpSource:
    from assets_data.lineage import resolve
    from assets_data.sources.config import PRESETS
    from assets_data.sources.http.source import HttpSource

    fields = options.tools.settings(options.config, options.set, "text/raw_slice")
    return HttpSource(resolve(PRESETS, "demo", {"source": "http_index", **fields}), options.tools.store())


def _recorded(options: argparse.Namespace) -> list[HttpSource]:
    from assets_data.sources.http.source import recorded_sources

    return recorded_sources(options.tools.store())
