"""Rows of many triples files as one sequence, memory-mapped: whole columns of numbers, and any rows by number.

Promises that what stays resident is what it returns, whatever the size of the files. Writes nothing.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets_data.domains.text.rows import COLUMNS
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.identity.record_ids import decode_records
from assets_data.lineage.identity.tables import map_file


class MappedRows:
    """``file_first`` int64[files + 1]: the number of each file's first row, and of all. ``schema``: the columns of
    triples; others in the files are left out.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._batches, self._homes, rows = list[pa.RecordBatch](), list[mmap.mmap](), list[int]()
        for path in paths:
            mapped = map_file(path)
            reader = pa.ipc.open_file(pa.py_buffer(mapped))
            rows.append(sum(self._add(reader.get_batch(n), mapped) for n in range(reader.num_record_batches)))
            self.schema: pa.Schema = pa.schema([reader.schema.field(name) for name in COLUMNS])
        self.file_first = np.cumsum([0, *rows])
        self._first = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def numbers(self, name: str) -> np.ndarray:
        """A numeric column of every row, copied."""
        dtype = self.schema.field(name).type.to_pandas_dtype()
        return self._column(dtype, lambda batch: batch.column(name).to_numpy())

    def lengths(self) -> np.ndarray:
        """int64[rows]: stored tokens of every row."""
        return self._column(np.int64, lambda batch: np.diff(batch.column("tokens").offsets.to_numpy()))

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
        found = [np.zeros((0, 32), np.uint8)]
        for place, (batch, first) in enumerate(zip(self._batches, self._first, strict=False)):
            if self.file_first[file] <= first < self.file_first[file + 1]:
                ids = batch.column("record_id").filter(pa.array(mask[first : first + batch.num_rows]))
                found.append(sorted_records(decode_records(ids, self._paths[file])))
                self._release(place)
        return sorted_records(np.concatenate(found)).view("S32").ravel()

    def _add(self, batch: pa.RecordBatch, home: mmap.mmap) -> int:
        if batch.num_rows:
            self._batches.append(batch.select(COLUMNS))
            self._homes.append(home)
        home.madvise(mmap.MADV_DONTNEED)  # finding a batch has mapped the pages around its head
        return batch.num_rows

    def _column(self, dtype: type, read: Callable[[pa.RecordBatch], np.ndarray]) -> np.ndarray:
        column = np.empty(self._first[-1], dtype)
        for place, batch in enumerate(self._batches):
            column[self._first[place] : self._first[place + 1]] = read(batch)
            self._release(place)
        return column

    def _release(self, place: int) -> None:
        """Give back the pages that reading a batch has mapped; what was read of it must have been copied."""
        self._homes[place].madvise(mmap.MADV_DONTNEED)
