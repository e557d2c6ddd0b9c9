"""The record ids of a table as arrays: 64 hex characters or 32 bytes per row in the file, 32 bytes in memory.

A table names records in a column ``record_id``; a row that comes from several records names each in a column of its
own, such as ``record_id_window`` and ``record_id_variant``.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.merkle import WIDTH
from assets_data.lineage.identity.sorted_sets import found_in
from assets_data.lineage.identity.tables import open_table

COLUMN = "record_id"


def record_columns(names: Iterable[str]) -> list[str]:
    """Those of a table's column names that name records, in their order."""
    return [name for name in names if name == COLUMN or name.startswith(f"{COLUMN}_")]


def iter_records(path: Path) -> Iterator[np.ndarray]:
    """The record ids of one table as uint8[n, 32], batch by batch and column by column."""
    with open_table(path) as table:
        for column in record_columns(table.schema.names):
            for batch in table.columns([column]):
                yield decode_records(batch.column(0), path)


def table_records(path: Path) -> np.ndarray:
    """All record ids of one table as uint8[n, 32]: of a table with several columns of them, one after the other."""
    return np.concatenate([np.empty((0, WIDTH), np.uint8), *iter_records(path)])


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


def among(records: np.ndarray, table: np.ndarray) -> np.ndarray:
    """bool[n]: which of ``records`` (uint8[n, 32]) are in ``table``, as ``merkle.sorted_records`` gives it."""
    return found_in(records.view("S32").ravel(), table.view("S32").ravel())


def _packed(column: pa.Array, width: int) -> memoryview:
    """The values of a large_binary array end to end, every one of the same width."""
    if not len(column):
        return memoryview(b"")
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    if not (np.diff(offsets) == width).all():
        raise ValueError(f"not all are {width} bytes long")
    return memoryview(column.buffers()[2])[offsets[0] : offsets[-1]]
