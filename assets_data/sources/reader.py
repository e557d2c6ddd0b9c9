"""One local file to records, by its suffix: jsonl, json and txt (each also .gz or .zst), parquet and arrow.

Streams in bounded memory. A row that is not what its format promises is refused with file and line (or row), or counted
and left out under the ceiling of the config; nothing is skipped silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.lineage import DataError
from assets_data.sources.config import SourceConfig
from assets_data.sources.extraction import Ceiling, Extractor
from assets_data.sources.parts import Part, Record, storable
from assets_data.sources.rows import JsonItems, json_lines, whole_text
from assets_data.sources.unpack import SUFFIXES, between, unpacked

TEXT_FORMATS = (".json", ".jsonl", ".ndjson", ".txt")
TABLE_FORMATS = (".arrow", ".parquet")  # compressed inside, never outside
_TABLE_ROWS = 1024  # rows of a parquet file decoded at a time


class RowReader:
    """Reads files under ``config``; a compressed one may unfold to ``max_bytes`` and ``max_ratio`` times its size."""

    def __init__(self, config: SourceConfig, max_bytes: int, max_ratio: int) -> None:
        self.config, self.max_bytes, self.max_ratio = config, max_bytes, max_ratio
        self._extractor = Extractor(config.extract)

    def records(self, part: Part, dropped: Counter[str]) -> Iterator[Record]:
        """One record per row; a .txt file is one record. Rows left out are added to ``dropped``.

        An origin is ``path#line:n,byte:m`` (of the unpacked file) in JSON lines, ``path#row:n`` in json, parquet and
        arrow, ``path#text`` in txt; lines and rows count from 1, bytes from 0.
        """
        ceiling, sound = Ceiling(self.config.extract, dropped), 0
        for place, where, row in self._rows(part, ceiling):
            try:
                record = self._record(part, f"{part.origin}#{place}", f"{part.origin}{where}", row)
            except DataError as error:
                ceiling.drop(error)
                continue
            sound += 1
            if record is None:
                dropped["missing"] += 1
            else:
                yield record
        ceiling.close(sound)

    def _record(self, part: Part, origin: str, where: str, row: Any) -> Record | None:
        split = self._extractor.part_split(part.origin)
        text = format_of(part.path) == ".txt"
        record = Record(origin, row, "", split) if text else self._extractor.record(row, origin, where, split)
        return record and storable(record, self.config.max_record_bytes)

    def _rows(self, part: Part, ceiling: Ceiling) -> Iterator[tuple[str, str, Any]]:
        """``(place inside the file, suffix of an error's place, row)``."""
        suffix, limit = format_of(part.path), self.config.max_record_bytes
        if suffix in TABLE_FORMATS:
            for number, row in enumerate(_table_rows(part.path, self._extractor.columns()), 1):
                yield f"row:{number}", f":{number}", row
            return
        blocks = unpacked(part.path, self.max_bytes, self.max_ratio)
        if suffix == ".txt":
            yield "text", ":1", whole_text(blocks, limit, part.origin)
        elif suffix == ".json":
            for number, (line, row) in enumerate(JsonItems(blocks, limit, part.origin), 1):
                yield f"row:{number}", f":{line}", row
        else:
            start = (1, 0)
            if part.lines:
                start = (part.lines.first, part.lines.begin)
                blocks = between(blocks, part.lines.begin, part.lines.end)
            for line, byte, row in json_lines(blocks, limit, part.origin, ceiling.drop, start):
                yield f"line:{line},byte:{byte}", f":{line}", row


def format_of(path: Path) -> str:
    """The suffix that says what is inside, that of a compression taken off."""
    return path.with_suffix("").suffix if path.suffix in SUFFIXES else path.suffix


def require_readable(path: Path) -> None:
    """Raise DataError FILE_FORMAT for a suffix nobody reads, FILE_NAME for a name that is not printable text."""
    packed = path.suffix in SUFFIXES
    if format_of(path) not in TEXT_FORMATS + (() if packed else TABLE_FORMATS):
        formats = f"{', '.join(TEXT_FORMATS)} (also {', '.join(SUFFIXES)}), {', '.join(TABLE_FORMATS)}"
        raise DataError("FILE_FORMAT", "no reader for this file", expected=formats, found=path.name, where=path.parent)
    if not path.name.isprintable():  # also what Python makes of bytes that are not UTF-8
        raise DataError("FILE_NAME", "a file name is not printable text", found=ascii(path.name), where=path.parent)


def _table_rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    try:
        for batch in _batches(path, columns):
            for column in batch.columns:
                column.validate(full=True)  # UTF-8 included: Arrow reads invalid bytes without a word
            yield from batch.to_pylist()
    except (pa.ArrowException, KeyError, OSError) as error:
        what = f"cannot read columns {', '.join(map(repr, columns))}: {error}"
        action = "set extract.fields or extract.qa, or repair the file"
        raise DataError("TABLE_COLUMN", what, where=path, action=action) from error


def _batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            _require_columns(file.schema_arrow, columns)
            for group in range(file.num_row_groups):  # over all groups at once pyarrow would keep the whole file
                yield from file.iter_batches(_TABLE_ROWS, row_groups=[group], columns=columns)
        return
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        _require_columns(reader.schema, columns)
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index).select(columns)
            yield from (batch.slice(begin, _TABLE_ROWS) for begin in range(0, batch.num_rows, _TABLE_ROWS))


def _require_columns(schema: pa.Schema, columns: list[str]) -> None:
    if missing := sorted(set(columns) - set(schema.names)):
        raise KeyError(f"no column {', '.join(map(repr, missing))} among {', '.join(schema.names[:10])}")
