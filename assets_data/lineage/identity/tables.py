"""Reading Arrow IPC and Parquet files by batch or memory-mapped. Writing goes through a SnapshotWriter."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.lineage.errors import IntegrityError


def table_schema(path: Path) -> pa.Schema:
    """The schema of an Arrow IPC (``.arrow``) or Parquet (``.parquet``) file. Raises IntegrityError if unreadable."""
    try:
        return pq.read_schema(path) if path.suffix == ".parquet" else pa.ipc.open_file(pa.memory_map(str(path))).schema
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError("TABLE_UNREADABLE", f"not a readable table: {error}", where=path) from error


def iter_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Record batches in file order; memory is bounded by one batch."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):  # one at a time: over all of them, pyarrow holds on to each
                yield from file.iter_batches(batch_size=8192, row_groups=[group])
        return
    mapped = map_file(path)
    reader = pa.ipc.open_file(pa.py_buffer(mapped))
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index)
        mapped.madvise(mmap.MADV_DONTNEED)  # what was read stays in the page cache, but no longer counts as resident


def map_file(path: Path) -> mmap.mmap:
    """The file's bytes, read-only, mapped for as long as anything refers to them. Raises ValueError if it is empty."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def iter_columns(path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Record batches of some columns, in the order of ``names``; no other column is read from the disk."""
    if path.suffix != ".parquet":
        for batch in iter_batches(path):
            yield batch.select(names)
        return
    with pq.ParquetFile(path, pre_buffer=False) as file:  # of few columns there is little to fetch ahead
        for group in range(file.num_row_groups):
            batches = file.iter_batches(batch_size=1 << 16, columns=names, row_groups=[group], use_threads=False)
            yield from (batch.select(names) for batch in batches)


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
