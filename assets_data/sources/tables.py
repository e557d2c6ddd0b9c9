"""Parquet and Arrow files to rows: of every field only the leaf that it names is read, so nothing beside it can fail.

Values are Python's own. What is no text is an :class:`Unfit`, and so is a string that is not UTF-8: its row can be left
out and the others kept. Streams 1,024 rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets_data.lineage import DataError
from assets_data.sources.fields import ABSENT, Steps, Unfit, spelled
from assets_data.sources.leaves import is_plain, is_utf8, leaf_numbers, leaf_of, text_type
from assets_data.sources.signature import HEAD_BYTES, described

_ROWS = 1024  # decoded at a time
_MESSAGE = b"\xff\xff\xff\xff"  # begins each message of a stream, since Arrow 0.15
_HEADS = {"parquet": b"PAR1", "arrow": b"ARROW1"}

Row = tuple[dict[str, Any], list[str]]
"""Values by field path, and the names of the table's columns."""


def table_rows(path: Path, kind: str, fields: Mapping[str, Steps], may_lack: Callable[[str], bool]) -> Iterator[Row]:
    """Every row of a parquet or arrow file. A field without a column is ABSENT, if it ``may_lack`` one.

    Raises DataError FILE_BYTES when the file is something else, TABLE_BROKEN when it is damaged, TABLE_CUT for a stream
    without its end, TABLE_COLUMN when a column is not there or cannot be read.
    """
    try:
        schema, batches = _opened(path, kind, fields)
        _require_columns(schema, fields, may_lack)
        for batch in batches:
            columns = [_values(leaf_of(batch, steps), len(batch)) for steps in fields.values()]
            for values in zip(*columns, strict=True):
                yield dict(zip(fields, values, strict=True)), schema.names
    except (pa.ArrowException, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the disk's, not what pyarrow says of bytes
            raise
        _require_kind(path, kind)
        what = f"cannot read {', '.join(map(repr, fields))}: {error.args[0] if error.args else error}"
        action = "set extract.fields or extract.qa, or repair the file"
        raise DataError("TABLE_COLUMN", what, where=path, action=action) from error


def _opened(path: Path, kind: str, fields: Mapping[str, Steps]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    try:
        return (_parquet if kind == "parquet" else _arrow)(path, fields)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        _require_kind(path, kind)
        action = "fetch or write the file again and compare its digest with the publisher's"
        what = f"the {kind} file is damaged, or only a part of one: {error}"
        raise DataError("TABLE_BROKEN", what, where=path, action=action) from error


def _parquet(path: Path, fields: Mapping[str, Steps]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    leaves = sorted({leaf for steps in fields.values() for leaf in leaf_numbers(schema, steps)})
    names = [file.schema.column(number).path for number in leaves]
    return schema, _parquet_batches(file, names)


def _parquet_batches(file: pq.ParquetFile, names: list[str]) -> Iterator[pa.RecordBatch]:
    with file:
        for group in range(file.num_row_groups):  # over all groups at once pyarrow would keep the whole file
            if names:
                yield from file.iter_batches(_ROWS, row_groups=[group], columns=names)
            else:
                rows = file.metadata.row_group(group).num_rows
                yield pa.record_batch([pa.nulls(rows)], names=[""])


def _arrow(path: Path, fields: Mapping[str, Steps]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    source = pa.memory_map(str(path))
    head = source.read(6)
    if head == _HEADS["arrow"]:
        reader = pa.ipc.open_file(source)
        whole = (reader.get_batch(number) for number in range(reader.num_record_batches))
        return reader.schema, _cut_up(source, whole)
    source.seek(max(0, source.size() - 8))
    end = source.read(8)
    source.seek(0)
    reader = pa.ipc.open_stream(source)
    if not end.endswith((_MESSAGE if head.startswith(_MESSAGE) else b"") + bytes(4)):  # a message of no length
        action = "write or fetch it again: a stream that was closed ends with a mark"
        raise DataError("TABLE_CUT", "an arrow stream ends before its end mark", where=path, action=action)
    return reader.schema, _cut_up(source, reader)


def _cut_up(source: pa.MemoryMappedFile, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with source:
        for batch in batches:
            batch.validate()
            yield from (batch.slice(begin, _ROWS) for begin in range(0, batch.num_rows, _ROWS))


def _require_columns(schema: pa.Schema, fields: Mapping[str, Steps], may_lack: Callable[[str], bool]) -> None:
    names = schema.names
    for path, steps in fields.items():
        name = str(steps[0])
        if name not in names and not may_lack(path):
            hint = f"; a name that holds a dot is a quoted step: write {spelled(path)!r}" if path in names else ""
            raise KeyError(f"no column {name!r} among {', '.join(names[:10]) or 'none'}{hint}")


def _require_kind(path: Path, kind: str) -> None:
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    looks = described(head)
    if not head.startswith(_HEADS[kind]) and looks != "an arrow stream" and "bytes that begin" not in looks:
        action = "name the file after what it is; tables are compressed inside, never outside"
        raise DataError("FILE_BYTES", f"this is no {kind} file", found=looks, where=path, action=action)


def _values(array: pa.Array | None, rows: int) -> list[Any]:
    if array is None:
        return [ABSENT] * rows
    column = _stored(array)
    if not is_plain(column.type):
        unfit = Unfit("ROW_NO_TEXT", str(column.type))
        return [unfit if valid else None for valid in column.is_valid().to_pylist()]
    return column.to_pylist() if is_utf8(column) else [_value(column.take([row])) for row in range(rows)]


def _stored(array: Any) -> Any:
    """The values themselves of an array that wraps them: of an extension type, of runs, of a dictionary."""
    while isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    kind = text_type(array.type)  # Spark, Hive and Impala write strings as bytes without a word
    return array if kind == array.type else pc.cast(array, kind, safe=False)  # whether they are UTF-8 is asked later


def _value(one: pa.Array) -> Any:
    return one.to_pylist()[0] if is_utf8(one) else Unfit("ROW_NOT_UTF8", "text is not UTF-8")
