"""Records in a keyed order, through buckets on disk: memory is bounded by a bucket, not by the slice.

The order is by a keyed mix of each record id, then by arrival: it does not depend on how the input was cut up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from assets_data.lineage import mix64
from assets_data.lineage.identity.digests import digest_key64
from assets_data.lineage.identity.record_ids import decode_records
from assets_data.lineage.identity.tables import read_table

BUCKETS = 64  # a bucket of a slice of 1 GB takes 16 MB


def shuffled(batches: Iterable[pa.Table], seed: int, most: int, group_bytes: int, folder: Path) -> Iterator[pa.Table]:
    """The first ``most`` rows (0: all) of ``batches`` in the keyed order, in tables of about ``group_bytes``.

    ``batches`` have a record_id column. Buckets are written below ``folder`` and removed.
    """
    with TemporaryDirectory(dir=folder) as place:
        held, size, left = [], 0, most or -1
        for table in _sorted_buckets(_write_buckets(batches, seed, Path(place)), seed):
            table = table if left < 0 else table.slice(0, left)
            held, size, left = [*held, table], size + table.nbytes, left - len(table) if left > 0 else left
            if size >= group_bytes or left == 0:
                yield pa.concat_tables(held)
                held, size = [], 0
            if left == 0:
                return
        if size:
            yield pa.concat_tables(held)


def _write_buckets(batches: Iterable[pa.Table], seed: int, folder: Path) -> list[Path]:
    """Rows by the top bits of their mix, each bucket in the order of arrival; paths in the order of the buckets."""
    paths = [folder / f"{number}.arrow" for number in range(BUCKETS)]
    files: dict[int, pa.RecordBatchFileWriter] = {}
    with ExitStack() as stack:
        for batch in batches:
            bucket_N = (_mixed(batch, seed) >> np.uint64(58)).astype(np.int64)
            for number in np.unique(bucket_N).tolist():
                if number not in files:
                    files[number] = stack.enter_context(pa.ipc.new_file(str(paths[number]), batch.schema))
                files[number].write_table(batch.filter(pa.array(bucket_N == number)))
    return [paths[number] for number in sorted(files)]


def _sorted_buckets(paths: Iterable[Path], seed: int) -> Iterator[pa.Table]:
    for path in paths:
        table = read_table(path)
        yield table.take(np.argsort(_mixed(table, seed), kind="stable"))
        path.unlink()


def _mixed(table: pa.Table, seed: int) -> np.ndarray:
    """uint64[n]: the keyed mix of each row's record id."""
    digests = decode_records(table["record_id"].combine_chunks(), "a bucket of the shuffle")
    return mix64(seed, "text/shuffle", digest_key64(digests))
