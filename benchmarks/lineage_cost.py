"""What lineage costs: seconds spent hashing, verifying and writing receipts, as a share of a whole `stemma run`.

The chain runs in this process with every function below timed where it is called. A call within a timed call counts
with the outer one; threads are added up, so what runs beside other work counts in full. `seconds_by` says which.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from assets_data.lineage.queries import explain
from assets_data.lineage.storage import shelves, snapshot, snapshot_writer, stage_records, store
from assets_data.sources import parts
from benchmarks.result import save
from training import checkpoint, stages

TIMED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (snapshot.Snapshot, ("open", "verify", "check_list", "check_file")),
    (snapshot_writer.SnapshotWriter, ("records", "finish")),
    (store, ("code_version", "commit", "environment", "predicate", "made_digest", "stage_key", "to_dict")),
    (store, ("read_receipt", "holds_any", "keep_index")),
    (shelves, ("require_named", "withdrawn_records")),
    (stage_records, ("write_receipt",)),
    (parts, ("_digest",)),
    (checkpoint, ("known_digest", "tensor_entries", "digest_json")),
    (stages, ("read_receipt",)),
    (explain, ("explain",)),
)
SECONDS: dict[str, float] = defaultdict(float)
_here = threading.local()


def timed(owner: Any, name: str) -> None:
    """Count the wall time of a function, where no timed one called it."""
    kept = vars(owner)[name]
    inner: Callable[..., Any] = kept.__func__ if isinstance(kept, classmethod) else kept

    def outer(*arguments: Any, **keywords: Any) -> Any:
        if getattr(_here, "inside", False):
            return inner(*arguments, **keywords)
        _here.inside, began = True, time.perf_counter()
        try:
            return inner(*arguments, **keywords)
        finally:
            _here.inside = False
            SECONDS[f"{owner.__name__.rpartition('.')[2]}.{name}"] += time.perf_counter() - began

    setattr(owner, name, classmethod(outer) if isinstance(kept, classmethod) else outer)


def main() -> None:
    """Run the chain in this process with the functions of lineage timed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="walk_lm")
    parser.add_argument("--preset", default="demo")
    options = parser.parse_args()
    for owner, names in TIMED:
        for name in names:
            timed(owner, name)
    from pipeline_defs.commands.run import run

    with tempfile.TemporaryDirectory() as folder:
        os.environ["STEMMA_ROOT"] = folder
        began = time.perf_counter()
        status = run(options.recipe, options.preset, {})
        total = time.perf_counter() - began
    spent = sum(SECONDS.values())
    largest = sorted(SECONDS.items(), key=lambda entry: -entry[1])
    figures = {
        "exit_status": status,
        "total_s": round(total, 2),
        "lineage_s": round(spent, 2),
        "share": round(spent / total, 4),
        "seconds_by": {name: round(seconds, 2) for name, seconds in largest if seconds >= 0.005},
    }
    save("lineage_cost", ["dagster", "rfc8785", "numpy", "torch"], figures, f"{options.recipe}_{options.preset}")


if __name__ == "__main__":
    main()
