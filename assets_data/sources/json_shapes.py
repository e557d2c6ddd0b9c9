"""Which shape some JSON has: rows line by line or a document, one row or columns. Judges by the beginning alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from assets_data.sources.rows import MARK, SEPARATOR, peeked


def is_lines(blocks: Iterable[bytes], limit: int) -> tuple[bool, Iterator[bytes]]:
    """Whether a .json file holds JSON lines, and its blocks again: its first line is a row and others follow.

    So it is, too, when the first line is no JSON, not even the beginning of some, and the second is an object.
    """

    def enough(head: bytes) -> bool:
        lines = _filled(head)
        return len(head) > limit or len(lines) > 2 or (len(lines) > 0 and lines[0].startswith(b"["))

    head, blocks = peeked(blocks, enough)
    lines = _filled(head)
    if len(lines) < 2 or lines[0].startswith(b"["):
        return False, blocks
    if _json(lines[0]) is not None:
        return True, blocks
    return isinstance(_json(lines[1]), dict) and not _may_go_on(lines[0] + b"\n" + lines[1]), blocks


def columns_of(value: Any) -> dict[str, list[Any]] | None:
    """The columns that an object is made of, or None when it is a row."""
    if not isinstance(value, dict) or not value:
        return None
    if all(isinstance(column, list) for column in value.values()):
        return value
    if all(isinstance(column, dict) and _numbered(column) for column in value.values()):  # as pandas writes it
        return {name: list(column.values()) for name, column in value.items()}
    return None


def _numbered(column: dict[str, Any]) -> bool:
    return list(column) == [str(number) for number in range(len(column))] and bool(column)


def _filled(head: bytes) -> list[bytes]:
    """The first lines that are not blank, three at most; the last of them may go on."""
    lines, at = [], len(MARK) if head.startswith(MARK) else 0
    while at < len(head) and len(lines) < 3:
        end = head.find(b"\n", at)
        end = len(head) if end < 0 else end
        if line := head[at:end].strip():
            lines.append(line)
        at = end + 1
    return lines


def _json(line: bytes) -> Any:
    """A line's value; None where it is no JSON, and something that is none where only Python cannot read it."""
    try:
        return json.loads(line.removeprefix(SEPARATOR).decode(errors="replace"))
    except json.JSONDecodeError:
        return None
    except (ValueError, RecursionError):  # an integer of thousands of digits, or nested too deep
        return ...


def _may_go_on(text: bytes) -> bool:
    """Whether ``text`` is the beginning of some JSON."""
    try:
        json.loads(text.decode(errors="replace"))
    except json.JSONDecodeError as error:
        return error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
    except (ValueError, RecursionError):
        return True
    return True
