"""One local file to records, by its suffix: jsonl, json and txt (each also .gz or .zst), parquet and arrow.

Streams in bounded memory. A row that is not what its format promises is refused with file and line (or row), or counted
and left out under the ceiling of the config; nothing is skipped silently. A file without a row has no records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from assets_data.lineage import DataError
from assets_data.sources.ceiling import Ceiling
from assets_data.sources.config import SourceConfig
from assets_data.sources.extraction import Extractor
from assets_data.sources.formats import TABLES, Format, format_of, readable_names
from assets_data.sources.json_documents import JsonItems
from assets_data.sources.json_shapes import is_lines
from assets_data.sources.parts import Part, Record, storable, unreadable
from assets_data.sources.rows import json_lines, peeked, whole_text
from assets_data.sources.signature import HEAD_BYTES, WEB_PAGE, described, looks_like
from assets_data.sources.tables import table_rows
from assets_data.sources.unpack import BLOCK_BYTES, between, unpacked

LINE_ROOM = BLOCK_BYTES  # what a line or an element may be longer than the text in it


class RowReader:
    """Reads files under ``config``; a compressed one may unfold to ``max_bytes`` and ``max_ratio`` times its size,
    with a window of ``max_window`` bytes.
    """

    def __init__(self, config: SourceConfig, max_bytes: int, max_ratio: int, max_window: int) -> None:
        self.config, self.caps = config, (max_bytes, max_ratio, max_window)

    def records(self, part: Part, dropped: Counter[str]) -> Iterator[Record]:
        """One record per row; a .txt file is one record. Rows left out are added to ``dropped``.

        An origin is ``path#line:n,byte:m`` (of the unpacked file) in JSON lines, ``path#row:n`` in json, parquet and
        arrow, ``path#text`` in txt; lines and rows count from 1, bytes from 0.
        """
        if not part.bytes:
            return
        try:
            yield from self._records(part, dropped)
        except OSError as error:
            raise unreadable(part.path, error) from error

    def _records(self, part: Part, dropped: Counter[str]) -> Iterator[Record]:
        extractor, sound = Extractor(self.config.extract, part.origin), 0
        ceiling = Ceiling(self.config.extract, dropped)
        for place, where, row in self._rows(part, extractor, ceiling):
            try:
                record = _record(extractor, f"{part.origin}#{place}", f"{part.origin}{where}", row)
                record = record and storable(record, self.config.max_record_bytes)
            except DataError as error:
                ceiling.drop(error)
                continue
            sound += 1
            if record is None:
                dropped["missing"] += 1
            else:
                yield record
        ceiling.close(sound)

    def _rows(self, part: Part, extractor: Extractor, ceiling: Ceiling) -> Iterator[tuple[str, str, Any]]:
        """``(place inside the file, suffix of an error's place, row)``: a table's row is a pair, as tables give it."""
        kind = _format(part).kind
        if kind in TABLES:
            rows = table_rows(part.path, kind, extractor.fields, extractor.may_lack)
            for number, row in enumerate(rows, 1):
                yield f"row:{number}", f":{number}", row
            return
        blocks, limit = self._blocks(part, kind), self.config.max_record_bytes
        if kind == "txt":
            yield from _text(blocks, limit, part.origin, ceiling)
            return
        limit += LINE_ROOM
        names = {step for steps in extractor.fields.values() for step in steps if isinstance(step, str)}
        lines = kind == "jsonl" or part.lines is not None
        if not lines:
            lines, blocks = is_lines(blocks, limit)
        if not lines:
            for number, (line, row) in enumerate(JsonItems(blocks, limit, part.origin, ceiling.drop, names), 1):
                yield f"row:{number}", f":{line}", row
            return
        start = (part.lines.first, part.lines.begin) if part.lines else (1, 0)
        for line, byte, row in json_lines(blocks, limit, part.origin, ceiling.drop, start, names):
            yield f"line:{line},byte:{byte}", f":{line}", row

    def _blocks(self, part: Part, kind: str) -> Iterator[bytes]:
        """The unpacked file, or its lines that belong to the part; refused when it is no text at all."""
        blocks = unpacked(part.path, *self.caps)
        head, blocks = peeked(blocks, lambda head: len(head) >= HEAD_BYTES)
        looks = looks_like(head) or (WEB_PAGE if kind != "txt" and described(head) == WEB_PAGE else "")
        if looks:
            action = "convert it to UTF-8" if "UTF" in looks else "name the file after what it is, or fetch it again"
            raise DataError(
                "FILE_BYTES",
                "the bytes are not what the file's name says",
                expected=f"{kind} in UTF-8",
                found=looks,
                where=part.origin,
                action=action,
            )
        return between(blocks, part.lines.begin, part.lines.end) if part.lines else blocks


def _record(extractor: Extractor, origin: str, where: str, row: Any) -> Record | None:
    if isinstance(row, str) and origin.endswith("#text"):
        return extractor.whole(row, origin, where)
    values, names = row if isinstance(row, tuple) else (extractor.values(row, where), row)
    return extractor.record(values, origin, where, names)


def _text(blocks: Iterator[bytes], limit: int, origin: str, ceiling: Ceiling) -> Iterator[tuple[str, str, str]]:
    """The one row of a text file; none where there is nothing in it but white space."""
    try:
        text = whole_text(blocks, limit, origin)
    except DataError as error:
        if not error.code.startswith("ROW_"):
            raise
        ceiling.drop(error)
        return
    if text.strip():
        yield "text", ":1", text


def _format(part: Part) -> Format:
    """Raises DataError FILE_FORMAT for a suffix nobody reads."""
    if found := format_of(part.path.name):
        return found
    raise DataError("FILE_FORMAT", "no reader for this file", expected=readable_names(), found=part.path.name)
