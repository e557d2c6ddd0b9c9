"""The first batch of an epoch of a billion rows whose keys lie on disk: seconds, memory, and the seconds of a bucket.

In a process of its own, against one sort of all keys at a number of rows that fits in memory, whose order it must have.

    python -m benchmarks.epoch [--rows N]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.lineage import keyed_order, mix64
from assets_data.lineage.identity.epoch import KeyedEpoch
from assets_data.lineage.receipts.code import ROOT
from benchmarks.result import save
from training.order import Order

BATCH, SEED, BLOCK = 1024, 7, 1 << 22


def write_keys(path: Path, rows: int) -> None:
    """Keys as a corpus has them: spread evenly, in no order."""
    keys = np.lib.format.open_memmap(path, "w+", np.uint64, (rows,))
    for begin in range(0, rows, BLOCK):
        keys[begin : begin + BLOCK] = mix64(5, "benchmark", np.arange(begin, min(begin + BLOCK, rows)))
    keys.flush()


def first_batch(path: Path) -> dict[str, Any]:
    """What a training process does before its first update, and then once per bucket."""
    began, cpu = time.perf_counter(), time.process_time()
    order = Order(SEED, np.load(path, mmap_mode="r"), BATCH)
    rows = order.batch(0)[0]
    spent = {"wall_s": round(time.perf_counter() - began, 2), "cpu_s": round(time.process_time() - cpu, 2)}
    return {**spent, "peak_mib": peak_mib(), "first": int(rows[0])}


def peak_mib() -> int:
    """Of this program, as the kernel counts it: getrusage would count what its parent had as well."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def agrees(rows: int) -> bool:
    """Whether stretches all over an epoch are those of one sort."""
    keys = mix64(5, "benchmark", np.arange(rows))
    whole, lazy = keyed_order(SEED, 0, keys), KeyedEpoch(SEED, 0, keys, 1 << 20)
    begins = [0, rows // 3, rows // 2, rows - BATCH]
    return all(np.array_equal(lazy[begin : begin + BATCH], whole[begin : begin + BATCH]) for begin in begins)


def main() -> None:
    """Write the keys, measure, compare, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000_000)
    parser.add_argument("--child", type=Path)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(first_batch(options.child)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.npy"
        write_keys(path, options.rows)
        command = [sys.executable, "-m", "benchmarks.epoch", "--child", str(path)]
        answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    figures = {"rows": options.rows, "first_batch": json.loads(answer.stdout), "same_order": agrees(20_000_000)}
    save("epoch", ["numpy"], figures)


if __name__ == "__main__":
    main()
