"""Text mazes: a core over token states against no core of equal size, of equal compute, a pooled core and a flat one.

The arms ``path_9x9`` ask a harder question: the cells on a shortest path to a goal, on mazes of 9 by 9.

Every run goes through preflight, training and gate on the same mazes, with the updates it lists; exact match near
(depths trained on) and deep (deeper ones) with 95% Wilson intervals, and CPU seconds of training.
With ``--root`` finished runs are kept there and not repeated by a later call of the same commit.
Usage: ``python -m benchmarks.hrm_core [--arms core,core_judged_on_all] [--seeds 11,12] [--root DIR] [--name path]``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.documents import read_facts
from assets_data.lineage import Store, with_overrides
from assets_data.lineage.receipts.code import commit
from benchmarks.hrm_lm import RECIPE, dataset
from benchmarks.result import save
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

SHOWN = ("segments_1", "segments_2", "segments_4", "segments_6", "segments_8", "segments_12")
WINDOWED = {"model.memory": "encoder", "model.core.reach": 0}
PLAIN = {**WINDOWED, "model.window": 0}
PATH = {
    "data.marks": "path", "data.size": 9, "model.max_tokens": 96, "model.window": 10, "model.core.reach": 0,
    "train.updates": 2800, "train.monitor_every": 400, "train.validate_every": 400,
}  # fmt: skip
"""A harder step: 0.3 s of a core per update of the core, a quarter of an hour in all."""
ARMS: dict[str, dict[str, Any]] = {
    "core": {},
    "core_judged_on_all": {"model.core.reach": 0},
    "core_without_window": {"model.window": 0},
    "core_absolute_positions": {"model.relative_positions": False},
    "core_without_slow_slots": {"model.core.h_len": 0, "model.ff_multiplier": 6},
    "plain_equal_parameters": {**PLAIN, "model.encoder_layers": 3},
    "plain_equal_compute": {**PLAIN, "model.encoder_layers": 6},
    "plain_equal_parameters_in_the_window": {**WINDOWED, "model.encoder_layers": 3},
    "plain_equal_compute_in_the_window": {**WINDOWED, "model.encoder_layers": 6},
    "core_gradient_segment": {"model.core.gradient": "segment"},
    "core_gradient_one_step": {"model.core.gradient": "one_step"},
    "path_9x9": {**PATH, "model.core.segments": 6, "model.core.eval_segments": 12},
    "path_9x9_plain": {**PATH, **PLAIN, "model.encoder_layers": 6},
}


def run(store: Store, inputs: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """One arm with one seed: what its gate measured."""
    config = with_overrides(RECIPE.presets["flood"](), overrides)
    preflight = make_preflight_report(store, RECIPE, inputs, config)
    began = time.process_time()
    checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
    seconds = time.process_time() - began
    result = make_gate_report(store, RECIPE, inputs, preflight, checkpoint).read_json("result.json")
    judged = {one["name"]: one for one in result["gate"]["criteria"]}
    shares = {
        name: [round(part, 4) for part in (judged[name]["value"], *judged[name]["interval"])]
        for name in ("near", "deep")
    }
    return {
        "updates": config.train.updates,
        "cpu_seconds": round(seconds, 1),
        "verdict": result["gate"]["verdict"],
        **shares,
        "parameters": read_facts(checkpoint)["parameters"],
        "slot_spread": result["metrics"]["scalars"].get("slot_spread"),
        "exact_by_depth": {
            name: [row[name] for row in result["metrics"]["exact_by_depth"]]
            for name in SHOWN
            if name in result["metrics"]["exact_by_depth"][0]
        },
    }


def summary(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Over an arm's seeds: how many gates pass, the sorted deep shares, and mean exact match by depth (1 to 10)."""
    tables = [one["exact_by_depth"] for one in runs.values()]
    return {
        "passed": sum(one["verdict"] == "pass" for one in runs.values()),
        "seeds": len(runs),
        "near": sorted(one["near"][0] for one in runs.values()),
        "deep": sorted(one["deep"][0] for one in runs.values()),
        "mean_exact_by_depth": {
            name: np.mean([table[name] for table in tables], axis=0).round(3).tolist() for name in tables[0]
        },
    }


def main() -> None:
    """Train in turn and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="17,18,19,20,21,22,23,24,25,26")
    parser.add_argument("--root", type=Path, help="a folder to work in")
    parser.add_argument("--name", default="", help="saves hrm_core_NAME.json, for arms beside the committed ones")
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = options.root or Path(folder)
        store = Store(root / "store")
        inputs = dict.fromkeys(RECIPE.inputs, dataset(store, "smoke"))
        for arm in options.arms.split(","):
            for seed in options.seeds.split(","):
                kept = root / f"{commit()['commit']}_{arm}_{seed}.json"
                if not kept.exists():
                    kept.write_text(json.dumps(run(store, inputs, {**ARMS[arm], "train.seed": int(seed)})))
                found.setdefault(arm, {})[seed] = one = json.loads(kept.read_text())
                print(arm, seed, {k: v for k, v in one.items() if k != "exact_by_depth"}, flush=True)
    figures = {arm: {"summary": summary(runs), "runs": runs} for arm, runs in found.items()}
    save("hrm_core", ["torch", "numpy"], figures, options.name)


if __name__ == "__main__":
    main()
