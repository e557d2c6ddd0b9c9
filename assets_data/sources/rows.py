"""Blocks of bytes to rows: lines, JSON lines, plain text. Every refusal names file and line.

Owns strictness: UTF-8 or nothing, whole JSON or nothing, and no row larger than the limit in memory. A byte order mark
at the very beginning is no content, nor is one before a line of JSON, where files that have one were joined. Neither is
the record separator that begins each row of a JSON text sequence (RFC 7464).
"""

from __future__ import annotations

import codecs
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from assets_data.lineage import DataError
from assets_data.sources.signature import looks_like, one_byte_text

MARK = codecs.BOM_UTF8
SEPARATOR = b"\x1e"


def json_lines(
    blocks: Iterable[bytes],
    limit: int,
    origin: str,
    malformed: Callable[[DataError], None],
    start: tuple[int, int] = (1, 0),
    names: Collection[str] = (),
) -> Iterator[tuple[int, int, Any]]:
    """``(line number from 1, byte offset of the row, value)`` per line; blank lines are passed over.

    Calls ``malformed`` with DataError ROW_NOT_UTF8, ROW_NOT_JSON or ROW_TOO_LONG, each with ``origin:line``, and goes
    on with the next line if it returns; so it does with ROW_FIELD_TWICE for an object that has one of ``names`` twice.
    ``limit`` is in bytes. ``start`` is the line and byte that ``blocks`` begin at.
    """
    for number, offset, line in _lines(blocks, limit, origin, malformed, start):
        for before in (MARK, SEPARATOR):
            while line.startswith(before):
                offset, line = offset + len(before), line[len(before) :]
        if not line.strip():
            continue
        try:
            text = line.decode()
            twice = repeats(text, names)
            value = unambiguous(text, names, f"{origin}:{number}") if twice else json.loads(text)
        except DataError as error:
            malformed(error)
        except UnicodeDecodeError as error:
            malformed(not_utf8(error, f"{origin}:{number}"))
        except (ValueError, RecursionError) as error:
            malformed(not_json("a line", error, f"{origin}:{number}"))
        else:
            yield number, offset, value


def repeats(text: str, names: Collection[str]) -> bool:
    """Whether one of ``names`` is quoted twice in a JSON text: only then can an object have it twice."""
    return any(text.count(f'"{name}"') > 1 for name in names)


def unambiguous(text: str, names: Collection[str], where: str) -> Any:
    """A JSON text's value. Raises ValueError where it is none, and DataError ROW_FIELD_TWICE where an object in it has
    one of ``names`` twice: which value is meant cannot be told, and Python would keep the last.
    """
    return json.loads(text, object_pairs_hook=lambda pairs: _only_once(pairs, names, where))


def _only_once(pairs: list[tuple[str, Any]], names: Collection[str], where: str) -> dict[str, Any]:
    found = Counter(name for name, _ in pairs)
    if twice := [name for name in names if found[name] > 1]:
        what, action = "a row has a field twice: which is meant cannot be told", "repair the row"
        raise DataError("ROW_FIELD_TWICE", what, found=twice[0], where=where, action=action)
    return dict(pairs)


def whole_text(blocks: Iterable[bytes], limit: int, origin: str) -> str:
    """The whole file as one text of at most ``limit`` bytes. Raises DataError ROW_NOT_UTF8 or ROW_TOO_LONG."""
    kept, size = [], 0
    for block in blocks:
        size += len(block)
        if size > limit:
            raise too_long(limit, f"{origin}:1")
        kept.append(block)
    data = b"".join(kept).removeprefix(MARK)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise not_utf8(error, f"{origin}:{line}") from error


def peeked(blocks: Iterable[bytes], enough: Callable[[bytes], bool]) -> tuple[bytes, Iterator[bytes]]:
    """The beginning of ``blocks``, as much of it as is ``enough`` or all there is, and all of them again."""
    blocks, head = iter(blocks), b""
    held: list[bytes] = []
    for block in blocks:
        held.append(block)
        head = head + block if head else block
        if enough(head):
            break
    return head, itertools.chain(held, blocks)


def _lines(
    blocks: Iterable[bytes], limit: int, origin: str, malformed: Callable[[DataError], None], start: tuple[int, int]
) -> Iterator[tuple[int, int, bytes]]:
    """``(number, byte offset, line)``; of a line over ``limit`` no more than that is held, and it is not given."""
    number, offset = start
    pieces: list[bytes] = []
    held = size = 0  # bytes in ``pieces``, and of the line: more where it is too long
    for block in blocks:
        for at, piece in enumerate(block.split(b"\n")):
            if at:  # a line end lies between this piece and the one before
                yield from _whole_line(pieces, number, offset, size, limit)
                number, offset, pieces, held, size = number + 1, offset + size + 1, [], 0, 0
            size += len(piece)
            if size <= limit:
                pieces.append(piece)
                held += len(piece)
            elif held <= limit:
                malformed(too_long(limit, f"{origin}:{number}"))
                pieces, held = [], limit + 1
    yield from _whole_line(pieces, number, offset, size, limit)


def _whole_line(
    pieces: list[bytes], number: int, offset: int, size: int, limit: int
) -> Iterator[tuple[int, int, bytes]]:
    if size <= limit:
        yield number, offset, b"".join(pieces)


def not_json(what: str, error: ValueError | RecursionError, where: str) -> DataError:
    """The refusal of text that Python's reader does not take for JSON, in words of JSON's own."""
    if isinstance(error, RecursionError):
        action = "write what is nested as a string, or leave it out"
        return DataError("ROW_NOT_JSON", f"{what} is nested too deep to be read", where=where, action=action)
    if isinstance(error, json.JSONDecodeError):
        fault = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
        return DataError("ROW_NOT_JSON", f"{what} is not JSON: {fault}", where=where)
    most, action = sys.get_int_max_str_digits(), "write a number as long as this as a string"
    what = f"{what} holds an integer that is too long to be read"
    return DataError("ROW_NOT_JSON", what, expected=f"at most {most:,} digits", where=where, action=action)


def not_utf8(error: UnicodeDecodeError, where: str) -> DataError:
    """The refusal of bytes that are no UTF-8, saying what they look like where that can be told."""
    kind = looks_like(error.object[:64]) or one_byte_text(error.object[max(0, error.start - 200) : error.start + 200])
    action = f"it looks like {kind}: convert it to UTF-8" if kind else None
    what = f"text is not UTF-8: {error.reason} at byte {error.start} of it"
    return DataError("ROW_NOT_UTF8", what, where=where, action=action)


def too_long(limit: int, where: str) -> DataError:
    """The refusal of a row over the limit."""
    action = "raise max_record_bytes if the row is genuine"
    return DataError(
        "ROW_TOO_LONG", "a row is longer than allowed", expected=f"at most {limit:,} bytes", where=where, action=action
    )
