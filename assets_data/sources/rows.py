"""Blocks of bytes to rows: lines, JSON lines, a streamed JSON array, plain text. Every refusal names file and line.

Owns strictness: UTF-8 or nothing, whole JSON or nothing, and no row larger than the limit in memory.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from assets_data.lineage import DataError

_NOT_SPACE = re.compile(r"[^ \t\n\r]")


def json_lines(
    blocks: Iterable[bytes],
    limit: int,
    origin: str,
    malformed: Callable[[DataError], None],
    start: tuple[int, int] = (1, 0),
) -> Iterator[tuple[int, int, Any]]:
    """``(line number from 1, byte offset of the line, value)`` per line; blank lines are passed over.

    Calls ``malformed`` with DataError ROW_NOT_UTF8, ROW_NOT_JSON or ROW_TOO_LONG, each with ``origin:line``, and goes
    on with the next line if it returns; ``limit`` is in bytes. ``start`` is the line and byte that ``blocks`` begin at.
    """
    for number, offset, line in _lines(blocks, limit, origin, malformed, start):
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError as error:
            malformed(_not_utf8(error, f"{origin}:{number}"))
        except (ValueError, RecursionError) as error:
            malformed(DataError("ROW_NOT_JSON", f"a line is not JSON: {error}", where=f"{origin}:{number}"))
        else:
            yield number, offset, value


def whole_text(blocks: Iterable[bytes], limit: int, origin: str) -> str:
    """The whole file as one text of at most ``limit`` bytes. Raises DataError ROW_NOT_UTF8 or ROW_TOO_LONG."""
    kept, size = [], 0
    for block in blocks:
        size += len(block)
        if size > limit:
            raise _too_long(limit, f"{origin}:1")
        kept.append(block)
    return "".join(_decoded(kept, origin))


class JsonItems:
    """Iterates ``(line number, value)`` over the elements of a top-level JSON array, or over the one top-level value.

    Holds one element at a time, up to ``limit`` characters. Raises DataError ROW_NOT_UTF8 or ROW_NOT_JSON with
    ``origin:line``, the line being where the bad element begins.
    """

    def __init__(self, blocks: Iterable[bytes], limit: int, origin: str) -> None:
        self._texts, self._limit, self._origin = _decoded(blocks, origin), limit, origin
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._line = "", 0, 1

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        if self._next_character() == "[":
            yield from self._elements()
        else:
            yield self._value()
        if self._next_character():
            raise self._malformed("text follows the end of the document")

    def _elements(self) -> Iterator[tuple[int, Any]]:
        self._advance(1)
        if self._next_character() != "]":
            yield self._value()
            while self._next_character() == ",":
                self._advance(1)
                yield self._value()
        if self._next_character() != "]":
            raise self._malformed("expected ',' or ']' after an element")
        self._advance(1)

    def _value(self) -> tuple[int, Any]:
        self._next_character()
        line = self._line
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:  # malformed, or not all of it is here yet
                reason = getattr(error, "msg", error)
                if len(self._text) - self._at > self._limit or not self._grow():
                    raise self._malformed(
                        f"an element is malformed or over {self._limit:,} characters: {reason}"
                    ) from error
            else:
                self._advance(end - self._at)
                return line, value

    def _next_character(self) -> str:
        """The next character that is not white space, without taking it; empty at the end of the file."""
        while not (found := _NOT_SPACE.search(self._text, self._at)):
            self._advance(len(self._text) - self._at)
            if not self._grow():
                return ""
        self._advance(found.start() - self._at)
        return found[0]

    def _advance(self, characters: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + characters)
        self._at += characters

    def _grow(self) -> bool:
        """At least double what is held (so that retries stay linear in total); False at the end of the file."""
        held = len(self._text) - self._at
        texts, added = [self._text[self._at :]], 0
        for text in self._texts:
            texts.append(text)
            added += len(text)
            if added > held:
                break
        self._text, self._at = "".join(texts), 0
        return added > 0

    def _malformed(self, what: str) -> DataError:
        return DataError("ROW_NOT_JSON", what, where=f"{self._origin}:{self._line}")


def _lines(
    blocks: Iterable[bytes], limit: int, origin: str, malformed: Callable[[DataError], None], start: tuple[int, int]
) -> Iterator[tuple[int, int, bytes]]:
    """``(number, byte offset, line)``; of a line over ``limit`` no more than that is held, and it is not given."""
    (number, offset), rest, too_long = start, b"", False
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            if not too_long:
                yield number, offset, line
            number, offset, too_long = number + 1, offset + len(line) + 1, False
        if len(rest) > limit or too_long:
            if not too_long:
                malformed(_too_long(limit, f"{origin}:{number}"))
            offset, rest, too_long = offset + len(rest), b"", True
    if not too_long:
        yield number, offset, rest


def _decoded(blocks: Iterable[bytes], origin: str) -> Iterator[str]:
    """Text of each block, with UTF-8 sequences joined across blocks; a bad or cut one is refused with its line."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    for block, final in itertools.chain(((block, False) for block in blocks), [(b"", True)]):
        try:
            text = decoder.decode(block, final)
        except UnicodeDecodeError as error:
            line += error.object.count(b"\n", 0, error.start)
            raise _not_utf8(error, f"{origin}:{line}") from error
        line += text.count("\n")
        yield text


def _not_utf8(error: UnicodeDecodeError, where: str) -> DataError:
    return DataError("ROW_NOT_UTF8", f"text is not UTF-8: {error.reason} at byte {error.start} of it", where=where)


def _too_long(limit: int, where: str) -> DataError:
    action = "raise max_record_bytes if the row is genuine"
    return DataError(
        "ROW_TOO_LONG", "a row is longer than allowed", expected=f"at most {limit:,} bytes", where=where, action=action
    )
