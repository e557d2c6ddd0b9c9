"""Reading Arrow IPC and Parquet files by batch or memory-mapped. Writing goes through a SnapshotWriter."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.lineage.errors import IntegrityError

SMALL = 1 << 20  # bytes of a file that is read at once and held in memory


class TableFile:
    """An Arrow IPC (``.arrow``) or Parquet (``.parquet``) file, opened once for its schema and its batches.

    Batches come in file order, and memory is bounded by one of them. A file of less than a megabyte is read at once,
    where it is asked for, unless its bytes are given as ``data``: to map it, or to hand it to another thread, takes
    longer. Opening raises whatever the reader raises.
    """

    def __init__(self, path: Path, data: bytes | None = None) -> None:
        if data is None and os.stat(path).st_size < SMALL:
            data = path.read_bytes()
        self._mapped, self._small, self._arrow = None, data is not None, path.suffix != ".parquet"
        self._file: Any
        if self._arrow:
            self._mapped = map_file(path) if data is None else None
            self._file = pa.ipc.open_file(pa.py_buffer(self._mapped if data is None else data))
            self.schema = self._file.schema
        else:
            source = path if data is None else pa.BufferReader(data)
            self._file = pq.ParquetFile(source, pre_buffer=not self._small)
            self.schema = self._file.schema_arrow

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._arrow:
            self._file.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Every batch with all its columns."""
        if not self._arrow:
            for group in range(self._file.num_row_groups):  # one at a time: over all, pyarrow holds on to each
                yield from self._file.iter_batches(8192, row_groups=[group], use_threads=not self._small)
            return
        for index in range(self._file.num_record_batches):
            yield self._file.get_batch(index)
            if self._mapped is not None:
                self._mapped.madvise(mmap.MADV_DONTNEED)  # it stays in the page cache, but no longer counts as resident

    def columns(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        """Batches of some columns, in the order of ``names``; no other column is read from the disk."""
        if self._arrow:
            yield from (batch.select(names) for batch in self.batches())
            return
        for group in range(self._file.num_row_groups):
            batches = self._file.iter_batches(1 << 16, columns=names, row_groups=[group], use_threads=False)
            yield from (batch.select(names) for batch in batches)


def open_table(path: Path, data: bytes | None = None) -> TableFile:
    """A table to read, see :class:`TableFile`. Raises IntegrityError TABLE_UNREADABLE for what cannot be opened."""
    try:
        return TableFile(path, data)
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise IntegrityError("TABLE_UNREADABLE", f"not a readable table: {error}", where=path) from error


def table_schema(path: Path) -> pa.Schema:
    """The schema of a table. Raises IntegrityError if unreadable."""
    with open_table(path) as table:
        return table.schema


def iter_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Record batches in file order; memory is bounded by one batch."""
    with TableFile(path) as table:
        yield from table.batches()


def iter_columns(path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Record batches of some columns, in the order of ``names``; no other column is read from the disk."""
    with TableFile(path) as table:
        yield from table.columns(names)


def map_file(path: Path) -> mmap.mmap:
    """The file's bytes, read-only, mapped for as long as anything refers to them. Raises ValueError if it is empty."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def take_values(path: Path, column: str, rows: np.ndarray) -> list[Any]:
    """The values of one column at some rows (ascending). Of a Parquet file only the row groups they are in are read."""
    if path.suffix != ".parquet":
        return read_table(path)[column].take(pa.array(rows)).to_pylist()
    values: list[Any] = []
    with pq.ParquetFile(path) as file:
        begin = 0
        for group in range(file.num_row_groups):
            end = begin + file.metadata.row_group(group).num_rows
            if len(inside := rows[(rows >= begin) & (rows < end)]):
                taken = file.read_row_group(group, columns=[column])[column].take(pa.array(inside - begin))
                values += taken.to_pylist()
            begin = end
    return values


def read_table(path: Path) -> pa.Table:
    """The whole table; an Arrow IPC file is memory-mapped, so only the pages touched are read."""
    if path.suffix == ".parquet":
        return pq.read_table(path)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
