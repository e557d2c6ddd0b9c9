"""Field paths: ``a.b[0].c`` to the value it names in a row, and that value as text. Knows no file and no config."""

from __future__ import annotations

import re
from typing import Any

Steps = tuple[str | int, ...]

_STEP = re.compile(r"(?P<dot>\.)?(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]")


def parse_field(path: str) -> Steps:
    """The steps of a field path: names and list indices. Raises ValueError when it is not one."""
    steps: list[str | int] = []
    at = 0
    while match := _STEP.match(path, at):
        if (match["name"] is not None) and bool(match["dot"]) != bool(steps):
            break
        steps.append(match["name"] if match["name"] is not None else int(match["index"]))
        at = match.end()
    if at != len(path) or not steps or isinstance(steps[0], int):
        raise ValueError(f"{path!r} is not a field path such as a.b[0].c")
    return tuple(steps)


def value_at(row: Any, steps: Steps) -> Any:
    """The value at the end of the path; None where a name or an index on the way is not there."""
    for step in steps:
        if isinstance(step, str):
            row = row.get(step) if isinstance(row, dict) else None
        else:
            row = row[step] if isinstance(row, list) and step < len(row) else None
    return row


def as_text(value: Any) -> str | None:
    """A string as it is, a number as its decimal form, of a list the first element; None when nothing is there.

    Raises TypeError for anything else: an object, a truth value, bytes.
    """
    while isinstance(value, list):
        value = value[0] if value else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise TypeError(type(value).__name__)
