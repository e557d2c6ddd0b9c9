"""Time from a stored position to its first batch, at update 10 and at update 10 million, on a corpus of real size.

Nothing is replayed: the order of the epoch in question is sorted once. Measured with row keys in memory, as the memory
map gives them, and the rows themselves read from a memory-mapped table. ``python -m benchmarks.resume [rows]``.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets_data.lineage import mix64
from assets_data.lineage.identity.tables import read_table
from benchmarks.result import save
from training.order import Order

BATCH, LENGTH, ROUNDS = 64, 256, 15
UPDATES = (10, 10_000_000)


def write_rows(path: Path, rows: int) -> None:
    """A table of ``rows`` rows of ``LENGTH`` tokens with their keys."""
    tokens = pa.FixedSizeListArray.from_arrays(np.zeros(rows * LENGTH, np.uint16), LENGTH)
    table = pa.table({"tokens": tokens, "row_key": mix64(0, "rows", np.arange(rows, dtype=np.uint64))})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def first_batch(path: Path, update: int) -> float:
    """Milliseconds to open the table, order the epoch and gather the rows of ``update``."""
    began = time.perf_counter()
    table = read_table(path)
    order = Order(0, table["row_key"].to_numpy(), BATCH)
    tokens = table["tokens"].chunk(0).flatten().to_numpy().reshape(-1, LENGTH)
    tokens[order.batch(update)[0]]
    return 1e3 * (time.perf_counter() - began)


def main(rows: int) -> None:
    """Measure in turn and save."""
    milliseconds: dict[int, list[float]] = {update: [] for update in UPDATES}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.arrow"
        write_rows(path, rows)
        for _ in range(ROUNDS):
            for update in UPDATES:
                milliseconds[update].append(first_batch(path, update))
    figures = {
        "rows": rows,
        "tokens_per_row": LENGTH,
        "batch_rows": BATCH,
        "rounds": ROUNDS,
        "epoch_of_update": {str(update): update * BATCH // rows for update in UPDATES},
        "first_batch_ms": {
            str(update): {"median": round(statistics.median(taken), 2), "max": round(max(taken), 2)}
            for update, taken in milliseconds.items()
        },
    }
    save("resume", ["numpy", "pyarrow"], figures)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 250_000)
