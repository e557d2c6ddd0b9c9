"""One preset's whole chain on an empty store, then again with nothing changed: seconds, memory, and the gate's figures.

``python -m benchmarks.chain`` measures the demo; ``python -m benchmarks.chain anchor`` is the one for a GPU machine.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from benchmarks.result import save


def seconds(preset: str, root: Path) -> float:
    """Wall seconds of one ``stemma run``; fails when the gate does."""
    command = [sys.executable, "-m", "pipeline_defs.commands.cli", "run", "--preset", preset]
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "STEMMA_ROOT": str(root)})
    return time.perf_counter() - started


def gate_figures(store: Store) -> dict[str, Any]:
    """What the gate report and the checkpoint say of themselves."""
    result = store.pointed("walk_lm/gate_report").read_json("result.json")
    checkpoint = store.pointed("walk_lm/checkpoint")
    training = checkpoint.read_json("training.json")
    columns = ("vertex", "r", "compliance", "checks", "distinct_prompts", "sampled", "chance")
    return {
        "verdict": result["gate"]["verdict"],
        "checkpoint": checkpoint.id,
        "training": {name: training[name] for name in ("updates", "epochs", "seconds", "tokens_per_s", "parameters")},
        "device": training["environment"].get("gpu") or "cpu",
        "scalars": result["metrics"]["scalars"],
        "rules": [{name: row[name] for name in columns} for row in result["metrics"]["rules"]],
    }


def main() -> None:
    """Measure and save ``results/chain_<preset>.json``."""
    preset = sys.argv[1] if len(sys.argv) > 1 else "demo"
    with tempfile.TemporaryDirectory() as folder:
        first, again = seconds(preset, Path(folder)), seconds(preset, Path(folder))
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        figures = {"first_run_s": round(first, 1), "nothing_changed_s": round(again, 1), "peak_memory_mib": peak}
        save("chain", ["torch", "dagster"], {**figures, **gate_figures(Store(Path(folder) / "store"))}, variant=preset)


if __name__ == "__main__":
    main()
