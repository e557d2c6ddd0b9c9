"""Reading Arrow IPC and Parquet files by batch or memory-mapped. Writing goes through a SnapshotWriter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
            yield from file.iter_batches(batch_size=8192)  # bounds memory where rows are long texts
        return
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)


def read_table(path: Path) -> pa.Table:
    """The whole table; an Arrow IPC file is memory-mapped, so only the pages touched are read."""
    if path.suffix == ".parquet":
        return pq.read_table(path)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
