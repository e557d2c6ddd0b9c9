"""Which rows come from a record: reading the tables against the index, and the index alone at 100 million rows.

The large table is simulated: its ids are made, its index is written as a publication writes it, and its file is not
there, which shows that no answer comes from it. "Cold" is with the index's pages dropped from memory, as far as the
kernel will do that when asked.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets_data.lineage import Snapshot, Store, digest_file
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.identity.order import mix64
from assets_data.lineage.identity.record_ids import among, iter_records
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.record_index import find_rows, write_index
from assets_data.lineage.storage.record_rows import records_held
from benchmarks.result import save

CHUNK = 1 << 20


def make_ids(begin: int, end: int) -> np.ndarray:
    """uint8[n, 32]: the ids of some rows; every fourth row is of the same record as the row before it."""
    row = np.arange(begin, end)
    words = [mix64(1, f"word {w}", row - (row % 4 == 3)) for w in range(4)]
    return np.stack(words, axis=1).view(np.uint8).reshape(-1, 32)


def all_ids(rows: int) -> np.ndarray:
    """The ids of a whole table in one array."""
    ids = np.empty((rows, 32), np.uint8)
    for begin in range(0, rows, CHUNK):
        ids[begin : begin + CHUNK] = make_ids(begin, min(rows, begin + CHUNK))
    return ids


def read_all(path: Path, record: bytes) -> int:
    """How it was answered before: every id of the table."""
    wanted = sorted_records([record])
    return sum(int(among(batch, wanted).sum()) for batch in iter_records(path))


def milliseconds(ask: Callable[[int], object], rows: int, samples: int, before: Callable[[], None]) -> dict[str, float]:
    """Median and 99th percentile over sampled rows."""
    rng, times = np.random.default_rng(3), []
    for row in rng.integers(0, rows, samples).tolist():
        before()
        began = time.perf_counter()
        ask(row)
        times.append((time.perf_counter() - began) * 1e3)
    return {f"p{q}_ms": round(float(np.percentile(times, q)), 3) for q in (50, 99)}


def compare(folder: Path, rows: int) -> dict[str, object]:
    """Both ways on one real table, and whether they agree."""
    target = folder / "snapshots" / ("0" * 64)
    target.mkdir(parents=True)
    with pa.OSFile(str(target / "train.arrow"), "wb") as sink:
        schema = pa.schema([("record_id", pa.string())])
        with pa.ipc.new_file(sink, schema) as writer:
            for begin in range(0, rows, CHUNK):
                text = [row.tobytes().hex() for row in make_ids(begin, min(rows, begin + CHUNK))]
                writer.write_batch(pa.record_batch([pa.array(text, pa.string())], schema))
    size, digest = (target / "train.arrow").stat().st_size, digest_file(target / "train.arrow")
    part = {"rows": rows, "columns": {"record_id": "not looked at"}}
    content = {"parts": {"train": part}, "kind": "benchmark", "splits": {}, "records": None, "schema": 1}
    files = {"train.arrow": {"bytes": size, "sha256": digest, "part": True}}
    snapshot = Snapshot(id="0" * 64, kind="benchmark", path=target, content=content, stats={}, files=files)
    record = make_ids(12, 13).tobytes()
    began = time.perf_counter()
    records_held(snapshot, [record])
    built = time.perf_counter() - began
    rng, wrong = np.random.default_rng(1), 0
    for row in rng.integers(0, rows, 5).tolist():
        asked = make_ids(row, row + 1).tobytes()
        wrong += records_held(snapshot, [asked]) != {"train.arrow": read_all(target / "train.arrow", asked)}
    return {
        "rows": rows,
        "read_the_table": milliseconds(lambda row: read_all(target / "train.arrow", record), rows, 5, lambda: None),
        "ask_the_index": milliseconds(
            lambda row: records_held(snapshot, [make_ids(row, row + 1).tobytes()]), rows, 200, lambda: None
        ),
        "first_question_s": round(built, 2),
        "answers_that_differ": wrong,
    }


def simulate(folder: Path, rows: int) -> dict[str, object]:
    """The index of a table of ``rows``: what it costs to make, and what a question costs."""
    path = folder / "large.ids"
    ids = all_ids(rows)
    began = time.perf_counter()
    note = write_index(path, ids)
    built = time.perf_counter() - began
    del ids

    def drop() -> None:
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def ask(row: int) -> None:
        found = find_rows(path, note, sorted_records(make_ids(row, row + 1)))
        if row not in found or len(found) != (2 if row % 4 > 1 else 1):
            raise SystemExit(f"row {row}: found {found}")

    atomic.sync_path(path)
    return {
        "rows": rows,
        "index_bytes": path.stat().st_size,
        "build_s": round(built, 1),
        "present": milliseconds(ask, rows, 500, lambda: None),
        "present_cold": milliseconds(ask, rows, 100, drop),
        "absent": milliseconds(
            lambda row: find_rows(path, note, sorted_records([row.to_bytes(32, "big")])), rows, 500, lambda: None
        ),
    }


def main() -> None:
    """Compare at a size that can be read, simulate at one that cannot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--compared-rows", type=int, default=8_000_000)
    parser.add_argument("--folder", type=Path, help="where to put some 4 GB for a minute; default: the temp folder")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        figures: dict[str, object] = {"simulated": simulate(folder, options.rows)}
        figures["compared"] = compare(Store(folder / "store").root, options.compared_rows)
        figures["peak_memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    finally:
        shutil.rmtree(folder)
    save("lineage_uses", ["numpy", "pyarrow"], figures)


if __name__ == "__main__":
    main()
