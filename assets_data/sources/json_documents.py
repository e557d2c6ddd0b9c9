"""JSON that is not one row per line: a streamed array, documents one after another, columns; and which of these it is.

Holds one element at a time. Every refusal names file and line.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from assets_data.lineage import DataError
from assets_data.sources.rows import MARK, peeked

_NOT_SPACE = re.compile(r"[^ \t\n\r]")
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are no UTF-8, as surrogateescape reads them


def _refuse(error: DataError) -> None:
    raise error


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


class JsonItems:
    """Iterates ``(line number, value)`` over a JSON array's elements, over documents one after another, or over the
    rows of one object whose fields are columns: lists of one length, or objects keyed "0", "1" and so on.

    Holds one element at a time, up to ``limit`` characters. Raises DataError ROW_NOT_JSON or ROW_COLUMNS
    with ``origin:line``, the line being where the bad element begins; calls ``malformed`` with ROW_NOT_UTF8 and goes on
    if it returns.
    """

    def __init__(
        self, blocks: Iterable[bytes], limit: int, origin: str, malformed: Callable[[DataError], None] = _refuse
    ) -> None:
        self._escaped = False
        self._texts, self._limit, self._origin, self._malformed_row = self._decoded(blocks), limit, origin, malformed
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._line = "", 0, 1

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        first = self._next_character()
        if first == "[":
            yield from self._elements()
        elif first:
            yield from self._documents()
        if self._next_character():
            raise self._malformed("text follows the end of the document")

    def _documents(self) -> Iterator[tuple[int, Any]]:
        found = list(self._value())
        if not self._next_character():
            yield from ((line, row) for line, value in found for row in self._rows(value, line))
            return
        yield from found
        while self._next_character() == "{":
            yield from self._value()

    def _rows(self, value: Any, line: int) -> Iterable[Any]:
        columns = _columns(value)
        if columns is None:
            return [value]
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            what = "one object whose fields are all lists, of several lengths: neither columns nor clearly one row"
            action = "make the lists equally long, or write [...] around the object if it is one row"
            shown = dict(itertools.islice(lengths.items(), 10))
            where = f"{self._origin}:{line}"
            raise DataError("ROW_COLUMNS", what, found=shown, where=where, action=action)
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    def _elements(self) -> Iterator[tuple[int, Any]]:
        self._advance(1)
        if self._next_character() != "]":
            yield from self._value()
            while self._next_character() == ",":
                self._advance(1)
                yield from self._value()
        if self._next_character() != "]":
            raise self._malformed("expected ',' or ']' after an element")
        self._advance(1)

    def _value(self) -> Iterator[tuple[int, Any]]:
        """The next value; nothing where it is not UTF-8 and may be left out."""
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
                break
        if end - self._at > self._limit:
            raise self._malformed(f"an element is over {self._limit:,} characters")
        if self._escaped and _ESCAPED.search(self._text, self._at, end):
            self._malformed_row(self._not_utf8(line))
        else:
            self._advance(end - self._at)
            yield line, value
            return
        self._advance(end - self._at)

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

    def _decoded(self, blocks: Iterable[bytes]) -> Iterator[str]:
        """Text of each block, with UTF-8 sequences joined across blocks, and marks in place of what is no UTF-8."""
        decoder, begun = codecs.getincrementaldecoder("utf-8")("surrogateescape"), False
        for block, final in itertools.chain(((block, False) for block in blocks), [(b"", True)]):
            text = decoder.decode(block, final)
            self._escaped = self._escaped or bool(_ESCAPED.search(text))
            if text:
                yield text if begun else text.removeprefix("\ufeff")
            begun = begun or bool(text)

    def _malformed(self, what: str) -> DataError:
        if self._escaped and _ESCAPED.search(self._text, self._at):
            return self._not_utf8(self._line)
        return DataError("ROW_NOT_JSON", what, where=f"{self._origin}:{self._line}")

    def _not_utf8(self, line: int) -> DataError:
        return DataError("ROW_NOT_UTF8", "text is not UTF-8", where=f"{self._origin}:{line}")


def _columns(value: Any) -> dict[str, list[Any]] | None:
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
    try:
        return json.loads(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None


def _may_go_on(text: bytes) -> bool:
    """Whether ``text`` is the beginning of some JSON."""
    try:
        json.loads(text.decode(errors="replace"))
    except json.JSONDecodeError as error:
        return error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
    except RecursionError:
        return True
    return True
