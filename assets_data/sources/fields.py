"""Field paths: ``a.b[0].c`` to the value it names in a row, and that value as text. Knows no file and no config.

A name that holds a dot or a bracket is a quoted step: ``["a.text"]``, ``meta["x[0]"].y``.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

Steps = tuple[str | int, ...]

_STEP = re.compile(
    r'(?P<dot>\.)?(?P<name>[^.\[\]]+)|\[(?:(?P<index>\d+)|(?P<quoted>"(?:[^"\\]|\\.)*"))\]',
)
_PLAIN = re.compile(r"[^.\[\]]+")


class Absent(Enum):
    """The value of a field that a row does not have, which is not a field that is null."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class Unfit(NamedTuple):
    """In place of a value that is no text: the ``code`` of the refusal, and what it is."""

    code: str
    what: str


def parse_field(path: str) -> Steps:
    """The steps of a field path: names and list indices. Raises ValueError when it is not one."""
    steps: list[Any] = []
    at = 0
    while match := _STEP.match(path, at):
        if (match["name"] is not None) and bool(match["dot"]) != bool(steps):
            break
        steps.append(_step(match))
        at = match.end()
    if at != len(path) or not steps or isinstance(steps[0], int) or None in steps:
        raise ValueError(f"{path!r} is not a field path such as a.b[0].c")
    return tuple(steps)


def spelled(name: str) -> str:
    """How a path spells one name: as it is, or as a quoted step."""
    return name if _PLAIN.fullmatch(name) else f"[{json.dumps(name, ensure_ascii=False)}]"


def value_at(row: Any, steps: Steps) -> Any:
    """The value at the end of the path; ABSENT where a name or an index on the way is not there."""
    for step in steps:
        if isinstance(step, str):
            row = row.get(step, ABSENT) if isinstance(row, dict) else ABSENT
        else:
            row = row[step] if isinstance(row, list) and step < len(row) else ABSENT
    return row


def texts_in(value: Any) -> list[str]:
    """The texts that a value holds: a string as it is, a number as its decimal form, of a list those of its elements.

    What is null, absent or no number (NaN, Infinity) holds none. Raises TypeError with :func:`kind_of` of anything
    else: an object, a truth value, bytes.
    """
    texts, left = [], [value]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += reversed(value)
        elif isinstance(value, str):
            texts.append(value)
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            texts += [str(value)] if math.isfinite(value) else []
        elif value is not None and value is not ABSENT:
            raise TypeError(kind_of(value))
    return texts


def kind_of(value: Any) -> str:
    """What JSON, or for what only tables hold its own word, calls a value: ``an object``, ``a list``."""
    named = ((bool, "true or false"), (str, "a string"), (int | float | Decimal, "a number"), (list, "a list"))
    for kinds, name in (*named, (dict, "an object"), (bytes, "bytes"), (type(None), "null")):
        if isinstance(value, kinds):
            return name
    return f"a {type(value).__name__}"


def _step(match: re.Match[str]) -> str | int | None:
    """The name or index of one step; None where what is quoted is no JSON string."""
    if match["quoted"] is None:
        return match["name"] if match["name"] is not None else int(match["index"])
    try:
        return json.loads(match["quoted"])
    except ValueError:
        return None
