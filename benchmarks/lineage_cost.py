"""What identity costs: seconds spent hashing, verifying and writing receipts, as a share of a whole `stemma run`."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

from assets_data.lineage.receipts import writer
from assets_data.lineage.storage import snapshot, store
from benchmarks.result import save

SPENT = {"seconds": 0.0, "depth": 0}


def timed(owner: Any, name: str) -> None:
    """Count the wall time of a function towards the cost, once where one of them calls another."""
    inner: Callable[..., Any] = getattr(owner, name)

    def outer(*arguments: Any, **keywords: Any) -> Any:
        SPENT["depth"] += 1
        began = time.perf_counter()
        try:
            return inner(*arguments, **keywords)
        finally:
            SPENT["depth"] -= 1
            if not SPENT["depth"]:
                SPENT["seconds"] += time.perf_counter() - began

    setattr(owner, name, outer)


def main() -> None:
    """Run the chain in this process with the identity functions timed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="walk_lm")
    parser.add_argument("--preset", default="demo")
    options = parser.parse_args()
    for owner, name in (
        (snapshot.Snapshot, "verify"),
        (snapshot.SnapshotWriter, "finish"),
        (snapshot.SnapshotWriter, "records"),
        (store, "write_receipt"),
        (store, "read_document"),
        (store, "code_version"),
        (writer.code, "commit"),
        (writer.code, "environment"),
    ):
        timed(owner, name)
    from pipeline_defs.commands.run import run

    with tempfile.TemporaryDirectory() as folder:
        os.environ["STEMMA_ROOT"] = folder
        began = time.perf_counter()
        status = run(options.recipe, options.preset, {})
        total = time.perf_counter() - began
    figures = {
        "exit_status": status,
        "total_s": round(total, 2),
        "identity_s": round(SPENT["seconds"], 2),
        "share": round(SPENT["seconds"] / total, 4),
    }
    save("lineage_cost", ["dagster", "rfc8785", "numpy"], figures, f"{options.recipe}_{options.preset}")


if __name__ == "__main__":
    main()
