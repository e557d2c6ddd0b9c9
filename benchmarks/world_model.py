"""The world_model presets as a user runs them, on several seeds: what the gate judged, and what it only reported.

Thresholds and presets are those of the commit; a seed draws weights, order, starts and plans. Episodes are collected
once. ``--plans off`` leaves the reported planning of ``demo`` out, which costs as much as its training.

    python -m benchmarks.world_model demo --seeds 0 1 2 --plans off
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from assets_data.domains.episodes.config import RAW, TABLES
from assets_data.lineage import Snapshot, Store, with_overrides
from benchmarks.result import save
from benchmarks.world_model_data import dataset
from training.recipe import discover
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

RECIPE = discover()["world_model"]
PACKAGES = ["torch", "numpy", "gymnasium"]


def measure(store: Store, manifest: Snapshot, config: Any) -> dict[str, Any]:
    """One run: verdict, criteria, what was not judged, scalars, CPU seconds of training and of the gate."""
    inputs, since = {"manifest": manifest}, time.process_time()
    preflight = make_preflight_report(store, RECIPE, inputs, config)
    before = time.process_time()
    checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
    trained = time.process_time()
    report = make_gate_report(store, RECIPE, inputs, preflight, checkpoint)
    result = report.read_json("result.json")
    judged = [{name: c[name] for name in ("name", "value", "threshold", "verdict")} for c in result["gate"]["criteria"]]
    scalars = {name: value for name, value in result["metrics"]["scalars"].items() if name != "gate_passed"}
    return {
        "verdict": result["gate"]["verdict"],
        "criteria": judged,
        "not_judged": sorted(result["gate"]["registered"]["not_judged"]),
        "baselines": result["gate"]["registered"]["baselines"],
        "scalars": scalars,
        "updates": config.train.updates,
        "cpu_s": {"preflight": before - since, "training": trained - before, "gate": time.process_time() - trained},
    }


def main() -> None:
    """Measure the seeds asked for, and keep those of an earlier result beside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=sorted(RECIPE.presets))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--plans", choices=("preset", "off"), default="preset")
    parser.add_argument("--keep", type=Path, help="a result of other seeds under the same settings, to add to")
    options = parser.parse_args()
    runs: dict[str, Any] = json.loads(options.keep.read_text())["figures"]["seeds"] if options.keep else {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        manifest = dataset(store, RAW[options.preset](), TABLES[options.preset]())
        for seed in options.seeds:
            chosen = {"train.seed": seed, "gate.seed": seed}
            chosen |= {"gate.planning": "off"} if options.plans == "off" else {}
            runs[str(seed)] = measure(store, manifest, with_overrides(RECIPE.presets[options.preset](), chosen))
            passed = sum(run["verdict"] == "pass" for run in runs.values())
            save("world_model", PACKAGES, {"passed": passed, "of": len(runs), "seeds": runs}, options.preset)


if __name__ == "__main__":
    main()
