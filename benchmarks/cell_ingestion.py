"""Memory and time of ingesting simulated cells, by their number: each size in a process of its own.

Raw cells, vocabulary and matrix, with peak resident memory as the kernel counts it. Flat means that a cell more costs
the bytes of its ids and no copy of its counts. Usage: ``python -m benchmarks.cell_ingestion 10000 100000 1000000``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from assets_data.domains.cells.config import CellsConfig, RawCellsConfig, SimulatedConfig, SplitConfig
from assets_data.domains.cells.matrix import make_matrix
from assets_data.domains.cells.raw_cells import make_raw_cells
from assets_data.domains.cells.vocabulary import make_vocabulary
from assets_data.lineage import Store
from benchmarks.result import save

GENES = 60


def measure(cells: int) -> dict[str, Any]:
    """One size, here."""
    simulated = SimulatedConfig(datasets=1, cells=cells, genes=GENES, regulators=12, donors=40)
    config = CellsConfig(split=SplitConfig(validation_share=0.1, test_share=0.1))
    found: dict[str, Any] = {"cells": cells}
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name))
        begun = time.perf_counter()
        raw = make_raw_cells(store, "sim-0", RawCellsConfig(source="simulated", simulated=simulated))
        found |= {"raw_s": round(time.perf_counter() - begun, 1), "raw_mib": _peak()}
        vocabulary = make_vocabulary(store, {"sim-0": raw}, config)
        matrix = make_matrix(store, raw, vocabulary, config)
        found |= {"all_s": round(time.perf_counter() - begun, 1), "all_mib": _peak()}
        found |= {
            "rows": sum(matrix.content["splits"].values()),
            "stored_mib": round((raw.bytes + matrix.bytes) / 2**20),
        }
        if raw.stats["read"] != sum(raw.stats[k] for k in ("rows", "empty", "duplicate", "withdrawn")):
            raise SystemExit("rows in are not rows kept and rows left out")
    return found


def _peak() -> int:
    """Peak resident memory of this process, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Measure every size and save."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--one", action="store_true", help="print one size as JSON; what each process does")
    options = arguments.parse_args()
    if options.one:
        print(json.dumps(measure(options.sizes[0])))
        return
    runs = []
    for size in options.sizes:
        command = [sys.executable, "-m", "benchmarks.cell_ingestion", "--one", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
        print(runs[-1], file=sys.stderr, flush=True)
    first, last = runs[0], runs[-1]
    more = (last["all_mib"] - first["all_mib"]) * 2**20 / max(1, last["cells"] - first["cells"])
    save("cell_ingestion", ["numpy", "pyarrow"], {"genes": GENES, "runs": runs, "bytes_more_per_cell": round(more, 1)})


if __name__ == "__main__":
    main()
