"""The report for a pull request: gate table with intervals, changes against the champion, verdict on the lineage.

Names come from data and config, so they are escaped as the UI's tables are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline_defs.answers.report.facts import Facts

MARKS = {"pass": "✅", "fail": "❌", "undetermined": "⚠️"}


def markdown_lines(facts: Facts) -> Iterator[str]:
    """GitHub's markdown, a line at a time."""
    verdict = facts.gate["verdict"]
    yield f"## {MARKS.get(verdict, '')} {cell(facts.recipe)}: gate {verdict}"
    yield ""
    yield f"Checkpoint `{facts.ids['checkpoint'][7:19]}`, {int(facts.training['updates']):,} updates."
    yield ""
    yield "| criterion | value | 95% interval | threshold | margin | verdict |"
    yield "| --- | ---: | :---: | ---: | ---: | :---: |"
    for row in facts.rows:
        sign = ">" if row["direction"] == "above" else "<"
        numbers = [number(row["value"]), interval(row["interval"]), f"{sign} {number(row['threshold'])}"]
        numbers.append(number(row["margin"], "+"))
        yield f"| {cell(row['name'])} | {' | '.join(numbers)} | {MARKS[row['verdict']]} |"
    yield ""
    yield from (f"- {cell(reason)}" for reason in facts.gate["reasons"])
    yield f"**Champion:** {facts.against}."
    if facts.changes:
        yield from _changes(facts)
    yield ""
    yield f"**Lineage:** {cell(facts.lineage_verdict)}."
    yield ""
    yield "<details><summary>How to reproduce</summary>"
    yield ""
    yield "```sh"
    yield from facts.commands
    yield "```"
    yield ""
    yield "</details>"


def cell(text: object) -> str:
    """Plain text in a table: no markup, no mentions, one line."""
    shown = "".join(c if c.isprintable() else " " for c in str(text))
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|~!@" else c for c in shown)


def number(value: Any, sign: str = "") -> str:
    """Four significant digits; ``n/a`` for what is not known."""
    return "n/a" if value is None else f"{value:{sign}.4g}"


def interval(bounds: Any) -> str:
    """Low to high."""
    return "n/a" if not bounds else f"{number(bounds[0])} to {number(bounds[1])}"


def _changes(facts: Facts) -> Iterator[str]:
    yield ""
    yield "| criterion | champion | its interval | here | change | |"
    yield "| --- | ---: | :---: | ---: | ---: | :---: |"
    for row in facts.changes:
        yield _change(row)


def _change(row: Mapping[str, Any]) -> str:
    mine, theirs = row["challenger"], row["champion"]
    change = None if mine is None or theirs is None else mine - theirs
    numbers = [number(row["champion"]), interval(row["interval"]), number(row["challenger"]), number(change, "+")]
    return f"| {cell(row['name'])} | {' | '.join(numbers)} | {'❌ worse' if row['worse'] else ''} |"
