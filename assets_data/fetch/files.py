"""Local files as a source: jsonl, json, txt (each also .gz or .zst), parquet and arrow, streamed in bounded memory.

A row that is not what its format promises is refused with file and line (or row); nothing is skipped silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.fetch.config import SourceConfig
from assets_data.fetch.parts import Part, Record, assign_slices, digest_parts
from assets_data.fetch.rows import JsonItems, json_lines, whole_text
from assets_data.fetch.unpack import SUFFIXES, unpacked
from assets_data.lineage import DataError

TEXT_FORMATS = (".json", ".jsonl", ".ndjson", ".txt")
TABLE_FORMATS = (".arrow", ".parquet")  # compressed inside, never outside
_TABLE_ROWS = 1024  # rows of a parquet file decoded at a time


class FilesSource:
    """The files that match ``config.files.patterns`` below ``config.files.root``."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.root = Path(config.files.root)
        self.origin = "local files: " + ", ".join(config.files.patterns)
        self.licence = config.files.licence

    def slices(self) -> dict[str, list[str]]:
        """``files-0 ..``: matching paths relative to root. Raises DataError FILE_FORMAT for a suffix nobody reads."""
        return assign_slices("files", self._paths(), self.config)

    def parts(self, slice_name: str) -> list[Part]:
        """The slice's files, digested now."""
        return digest_parts(self.root, self, slice_name)

    def records(self, part: Part) -> Iterator[Record]:
        """One record per row of ``part`` (``path#row:n``, from 1); a .txt file is one record (``path#text``)."""
        suffix = _format(part.path)
        if suffix in TABLE_FORMATS:
            yield from _table_records(part, self.config.files.text_field)
            return
        files, limit = self.config.files, self.config.max_record_bytes
        blocks = unpacked(part.path, files.max_unpacked_bytes, files.max_unpack_ratio)
        if suffix == ".txt":
            yield Record(f"{part.origin}#text", whole_text(blocks, limit, part.origin))
            return
        rows = JsonItems(blocks, limit, part.origin) if suffix == ".json" else json_lines(blocks, limit, part.origin)
        yield from _json_records(rows, files.text_field, part.origin)

    def _paths(self) -> Iterator[str]:
        for pattern in self.config.files.patterns:
            for path in self.root.glob(pattern):
                if path.is_file():
                    _require_readable(path)
                    yield path.relative_to(self.root).as_posix()


def _format(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix in SUFFIXES else path.suffix


def _require_readable(path: Path) -> None:
    packed = path.suffix in SUFFIXES
    if _format(path) not in TEXT_FORMATS + (() if packed else TABLE_FORMATS):
        formats = f"{', '.join(TEXT_FORMATS)} (also {', '.join(SUFFIXES)}), {', '.join(TABLE_FORMATS)}"
        raise DataError("FILE_FORMAT", "no reader for this file", expected=formats, found=path.name, where=path.parent)
    if not path.name.isprintable():  # also what Python makes of bytes that are not UTF-8
        raise DataError("FILE_NAME", "a file name is not printable text", found=ascii(path.name), where=path.parent)


def _json_records(rows: Iterable[tuple[int, Any]], field: str, origin: str) -> Iterator[Record]:
    for number, (line, row) in enumerate(rows, 1):
        text = row.get(field) if isinstance(row, dict) else None
        if not isinstance(text, str):
            found = sorted(row)[:10] if isinstance(row, dict) else type(row).__name__
            expected = f"an object whose {field!r} is a string"
            raise DataError(
                "ROW_NO_TEXT", "a row has no text", expected=expected, found=found, where=f"{origin}:{line}"
            )
        yield Record(f"{origin}#row:{number}", text)


def _table_records(part: Part, field: str) -> Iterator[Record]:
    row = 0
    for column in _columns(part, field):
        for text in column.to_pylist():
            row += 1
            if text is None:
                raise DataError("ROW_NO_TEXT", f"column {field!r} is null", where=f"{part.origin}:{row}")
            yield Record(f"{part.origin}#row:{row}", text)


def _columns(part: Part, field: str) -> Iterator[pa.Array]:
    try:
        for batch in _batches(part.path, field):
            column = batch.column(field)
            column.validate(full=True)  # UTF-8 included: Arrow reads invalid bytes without a word
            if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
                raise pa.ArrowTypeError(f"its type is {column.type}")
            yield column
    except (pa.ArrowException, KeyError, OSError) as error:
        what = f"cannot read column {field!r} as text: {error}"
        raise DataError(
            "TABLE_COLUMN", what, where=part.path, action="set files.text_field, or repair the file"
        ) from error


def _batches(path: Path, field: str) -> Iterator[pa.RecordBatch]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(_TABLE_ROWS, columns=[field])
        return
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
