"""JSON that is not one row per line: a streamed array, documents one after another, columns.

Holds one element at a time. Every refusal names file and line.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from assets_data.lineage import DataError
from assets_data.sources.json_shapes import columns_of
from assets_data.sources.rows import not_json, repeats, unambiguous

_NOT_SPACE = re.compile(r"[^ \t\n\r\ufeff\x1e]")  # a mark: where files that have one were joined; RFC 7464's separator
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are no UTF-8, as surrogateescape reads them


def _refuse(error: DataError) -> None:
    raise error


class JsonItems:
    """Iterates ``(line number, value)`` over a JSON array's elements, over documents one after another, or over the
    rows of one object whose fields are columns: lists of one length, or objects keyed "0", "1" and so on.

    Holds one element at a time, up to ``limit`` characters. Raises DataError ROW_NOT_JSON or ROW_COLUMNS
    with ``origin:line``, the line being where the bad element begins; calls ``malformed`` with ROW_NOT_UTF8 and goes on
    if it returns.
    """

    def __init__(
        self,
        blocks: Iterable[bytes],
        limit: int,
        origin: str,
        malformed: Callable[[DataError], None] = _refuse,
        names: Collection[str] = (),
    ) -> None:
        self._escaped, self._names = False, names
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
        columns = columns_of(value)
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
                began = self._at
                if len(self._text) - began > self._limit or not self._grow():
                    raise self._not_json(error, began, line) from error
            else:
                break
        if end - self._at > self._limit:
            raise self._malformed(f"an element is over {self._limit:,} characters")
        if self._escaped and _ESCAPED.search(self._text, self._at, end):
            self._malformed_row(self._not_utf8(line))
        elif self._told_apart(end, line):
            self._advance(end - self._at)
            yield line, value
            return
        self._advance(end - self._at)

    def _told_apart(self, end: int, line: int) -> bool:
        """Whether no field of the value that was just read stands in it twice; else that is said."""
        try:
            text = self._text[self._at : end]
            if repeats(text, self._names):
                unambiguous(text, self._names, f"{self._origin}:{line}")
        except DataError as error:
            self._malformed_row(error)
            return False
        return True

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

    def _not_json(self, error: ValueError | RecursionError, began: int, line: int) -> DataError:
        """Why the element at hand, which began there, is none. Where it is longer than allowed, that may be all."""
        if self._escaped and _ESCAPED.search(self._text, self._at):
            return self._not_utf8(line)
        if isinstance(error, json.JSONDecodeError):
            error.pos -= began
            if len(self._text) - self._at > self._limit:
                return self._malformed(f"an element is malformed or over {self._limit:,} characters: {error.msg}")
        return not_json("an element", error, f"{self._origin}:{line}")

    def _malformed(self, what: str) -> DataError:
        if self._escaped and _ESCAPED.search(self._text, self._at):
            return self._not_utf8(self._line)
        return DataError("ROW_NOT_JSON", what, where=f"{self._origin}:{self._line}")

    def _not_utf8(self, line: int) -> DataError:
        return DataError("ROW_NOT_UTF8", "text is not UTF-8", where=f"{self._origin}:{line}")
