"""Markdown tables of values that may hold anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; line breaks and bars in cells are made harmless."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def code(value: object) -> str:
    """Inline code, also of text that holds backticks."""
    text = str(value)
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def made_by(document: Mapping[str, Any]) -> str:
    """The command and the commit of a benchmark's result, and whether the checkout had other changes."""
    changes = " and changes that were not committed" if document.get("dirty") else ""
    return f"{code(document['command'])} at commit {str(document['commit'])[:12]}{changes}"


def measured(document: Mapping[str, Any]) -> str:
    """The sentence of :func:`made_by`."""
    return f"Measured by {made_by(document)}."
