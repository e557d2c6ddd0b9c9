"""What `explain` hashes per second against sha256 alone over the same files, in turn, from the same disk."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.queries.explain import explain
from benchmarks.result import save
from tests.assets_data.lineage.mini_chain import MODULE, MiniConfig


def make_node(store: Store, megabytes: int, files: int) -> Snapshot:
    """A snapshot of ``files`` Arrow files, ``megabytes`` together."""

    def build(writer):
        rows = megabytes * (1 << 20) // files // 8
        for number in range(files):
            values = np.random.default_rng(number).integers(0, 2**63, rows, np.uint64)
            writer.write_table(f"shard{number}.arrow", pa.table({"value": values}))

    return store.run_stage(name="bench/data", module=MODULE, config=MiniConfig(), parents={}, build=build)


def bare_sha256(snapshot: Snapshot) -> None:
    """Every file, one after the other, as `sha256sum` would."""
    for name in snapshot.files:
        with open(snapshot.path / name, "rb") as file:
            hashlib.file_digest(file, "sha256")


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Both in turn, the best of several rounds each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        snapshot = make_node(store, options.megabytes, options.files)
        rounds = [
            (seconds(lambda: bare_sha256(snapshot)), seconds(lambda: explain(store, snapshot.id)))
            for _ in range(options.rounds)
        ]
        bare, ours = (min(times) for times in zip(*rounds, strict=True))
    result = {
        "megabytes": options.megabytes,
        "files": options.files,
        "bare_mb_per_s": round(options.megabytes / bare),
        "explain_mb_per_s": round(options.megabytes / ours),
        "ratio": round(bare / ours, 3),
    }
    save("lineage_hashing", ["numpy", "pyarrow"], result)


if __name__ == "__main__":
    main()
