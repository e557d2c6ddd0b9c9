"""Which rows of a table come from a record: a binary search over the record ids' first eight bytes, then the ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from assets_data.lineage.identity.digests import digest_key64
from assets_data.lineage.identity.record_ids import COLUMN, decode_records
from assets_data.lineage.identity.tables import iter_columns, read_table
from assets_data.lineage.queries.remembered import Memory


class RecordRows:
    """The rows of one table by the record that a column names. ``source`` (JSON) decides the table; sorting it is
    remembered."""

    def __init__(self, path: Path, source: Any, memory: Memory, column: str = COLUMN) -> None:
        self._path, self._column = path, column
        rows = sum(batch.num_rows for batch in iter_columns(path, [column]))
        kept = {"what": "record_rows", "table": source, **({"column": column} if column != COLUMN else {})}
        self._order = memory.array(kept, rows, self._sorted)
        self._table: Any = None

    def find(self, record: bytes) -> np.ndarray:
        """int64[k], ascending: the rows whose record id is exactly this."""
        wanted = np.frombuffer(record[:8], ">u8").astype(np.uint64)
        keys = self._order["key"]
        begin, end = np.searchsorted(keys, wanted[0], "left"), np.searchsorted(keys, wanted[0], "right")
        rows = np.sort(self._order["row"][begin:end].astype(np.int64))
        return rows[[self._id(row) == record.hex() for row in rows.tolist()]] if len(rows) else rows

    def _id(self, row: int) -> str:
        if self._table is None:
            self._table = read_table(self._path)[self._column]
        value = self._table[row].as_py()
        return value.hex() if isinstance(value, bytes) else value

    def _sorted(self) -> np.ndarray:
        batches = (batch.column(0) for batch in iter_columns(self._path, [self._column]))
        keys = [digest_key64(decode_records(batch, self._path)) for batch in batches]
        key = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        order = np.argsort(key, kind="stable")
        out = np.empty(len(key), [("key", np.uint64), ("row", np.uint64)])
        out["key"], out["row"] = key[order], order
        return out
