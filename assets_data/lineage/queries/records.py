"""Which source records a snapshot holds: read from the ``record_id`` columns of its published tables.

A snapshot needs no separate record table: any part with a ``record_id`` column (64 hex characters per row) is one, and
the record root in its identity says whether the columns are complete.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets_data.lineage.errors import DataError, IntegrityError
from assets_data.lineage.merkle import WIDTH
from assets_data.lineage.snapshot import Snapshot
from assets_data.lineage.tables import iter_columns, table_schema

COLUMN = "record_id"


def record_tables(snapshot: Snapshot) -> list[str]:
    """Names of the parts that have a ``record_id`` column, sorted."""
    tables = (name for name, entry in snapshot.files.items() if entry["part"])
    return [
        name
        for name in sorted(tables)
        if Path(name).suffix in (".arrow", ".parquet") and COLUMN in table_schema(snapshot.file(name)).names
    ]


def iter_records(path: Path) -> Iterator[np.ndarray]:
    """The ``record_id`` column of one table as uint8[n, 32], batch by batch."""
    for batch in iter_columns(path, [COLUMN]):
        yield decode_records(batch.column(0), path)


def table_records(path: Path) -> np.ndarray:
    """The ``record_id`` column of one table as uint8[n, 32]."""
    return np.concatenate([np.empty((0, WIDTH), np.uint8), *iter_records(path)])


def all_records(snapshot: Snapshot) -> np.ndarray:
    """Every record id of a snapshot, uint8[n, 32], as often as its tables name it.

    ``records.parquet`` is enough where there is one. Raises DataError RECORDS_NONE when no table names records.
    """
    names = record_tables(snapshot)
    if not names:
        raise DataError("RECORDS_NONE", "no table of this snapshot names source records", where=snapshot.path)
    chosen = [name for name in names if Path(name).stem == "records"] or names
    return np.concatenate([table_records(snapshot.file(name)) for name in chosen])


def parse_record(text: str) -> bytes:
    """32 bytes from a record id as people write it. Raises DataError RECORD_ID."""
    try:
        record = bytes.fromhex(text.removeprefix("sha256:"))
    except ValueError:
        record = b""
    if len(record) != WIDTH:
        raise DataError("RECORD_ID", "a record id is 64 hex characters", found=text)
    return record


def decode_records(column: pa.Array, where: object) -> np.ndarray:
    """uint8[n, 32] from n strings of 64 hex characters or n binaries of 32 bytes, without a Python object for each.

    Raises IntegrityError RECORDS_MALFORMED for anything else.
    """
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    width = 2 * WIDTH if text else WIDTH
    try:
        packed = _packed(column.cast(pa.large_binary()), width)
        raw = binascii.unhexlify(packed) if text else bytes(packed)
        return np.frombuffer(raw, np.uint8).reshape(-1, WIDTH)
    except (ValueError, pa.ArrowException) as error:
        raise IntegrityError("RECORDS_MALFORMED", f"a column of no record ids: {error}", where=where) from error


def found_in(keys: np.ndarray, table: np.ndarray) -> np.ndarray:
    """bool[n]: which of ``keys`` stand in ``table``, an ascending array of the same type."""
    places = np.searchsorted(table, keys)
    found = places < len(table)
    found[found] = table[places[found]] == keys[found]
    return found


def _packed(column: pa.Array, width: int) -> memoryview:
    """The values of a large_binary array end to end, every one of the same width."""
    if not len(column):
        return memoryview(b"")
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    if not (np.diff(offsets) == width).all():
        raise ValueError(f"not all are {width} bytes long")
    return memoryview(column.buffers()[2])[offsets[0] : offsets[-1]]
