"""Rows of many triples files as one sequence, memory-mapped: whole columns of numbers, and any rows by number.

Promises that what stays resident is what it returns, whatever the size of the files. Writes nothing.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets_data.lineage.tables import map_file
from assets_data.text.rows import COLUMNS, record_digests


class MappedRows:
    """``file_first`` int64[files + 1]: the number of each file's first row, and of all. ``schema``: the columns of
    triples; others in the files are left out."""

    def __init__(self, paths: Sequence[Path]) -> None:
        maps = [map_file(path) for path in paths]
        tables = [pa.ipc.open_file(pa.py_buffer(mapped)).read_all().select(COLUMNS) for mapped in maps]
        self.schema: pa.Schema = tables[0].schema
        self.file_first = np.cumsum([0, *(table.num_rows for table in tables)])
        parts = [[batch for batch in table.to_batches() if batch.num_rows] for table in tables]
        self._batches = [batch for part in parts for batch in part]
        self._homes = [home for home, part in zip(maps, parts, strict=True) for _ in part]
        self._first = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def numbers(self, name: str) -> np.ndarray:
        """A numeric column of every row, copied."""
        empty = np.zeros(0, self.schema.field(name).type.to_pandas_dtype())
        return self._column(empty, lambda batch: batch.column(name).to_numpy())

    def lengths(self) -> np.ndarray:
        """int64[rows]: stored tokens of every row."""
        return self._column(np.zeros(0, np.int64), lambda batch: np.diff(batch.column("tokens").offsets.to_numpy()))

    def file_of(self, rows: np.ndarray) -> np.ndarray:
        """int64[n]: the place of each row's file."""
        return np.searchsorted(self.file_first, rows, side="right") - 1

    def take(self, rows: np.ndarray) -> pa.RecordBatch:
        """The rows of these numbers, in this order, copied."""
        place = np.searchsorted(self._first, rows, side="right") - 1
        order = np.argsort(place, kind="stable")
        edges = np.flatnonzero(np.diff(place[order], prepend=-1, append=-1))
        pieces = []
        for a, b, p in zip(edges[:-1], edges[1:], place[order[edges[:-1]]], strict=True):
            pieces.append(self._batches[p].take(pa.array(rows[order[a:b]] - self._first[p])))
            self._release(p)
        return pa.concat_batches(pieces).take(pa.array(np.argsort(order, kind="stable")))

    def records(self, file: int, mask: np.ndarray) -> np.ndarray:
        """S32, sorted: the distinct record digests of a file's rows for which ``mask`` (bool[rows]) is true."""
        found = [np.zeros(0, "S32")]
        for place, (batch, first) in enumerate(zip(self._batches, self._first, strict=False)):
            if self.file_first[file] <= first < self.file_first[file + 1]:
                ids = batch.column("record_id").filter(pa.array(mask[first : first + batch.num_rows]))
                found.append(np.unique(record_digests(ids.to_pylist()).view("S32").ravel()))
                self._release(place)
        return np.unique(np.concatenate(found))

    def _column(self, empty: np.ndarray, read: Callable[[pa.RecordBatch], np.ndarray]) -> np.ndarray:
        arrays = [empty]
        for place, batch in enumerate(self._batches):
            arrays.append(np.array(read(batch)))
            self._release(place)
        return np.concatenate(arrays)

    def _release(self, place: int) -> None:
        """Give back the pages that reading a batch has mapped; what was read of it must have been copied."""
        self._homes[place].madvise(mmap.MADV_DONTNEED)
