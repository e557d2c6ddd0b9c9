"""geno_lewm's demo on one fold of the split: encoder, state table, then a predictor and its gate for each seed.

Folds are moved on by the test share: no base is test data in two of them. Every part goes through the stages that a
user's run goes through; thresholds are those of the preset. The file is written anew after each seed.
Usage: ``python -m benchmarks.geno_lewm FOLD [--seeds 0,1,2] [--preset demo] [--root DIR]``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from assets_data.domains.genome.config import PRESETS
from assets_data.domains.genome.manifest import make_dataset_manifest
from assets_data.domains.genome.reference import make_reference
from assets_data.domains.genome.sources import slice_names
from assets_data.domains.genome.split import make_split
from assets_data.domains.genome.trajectories import make_trajectories
from assets_data.domains.genome.variants import make_variants
from assets_data.domains.genome.windows import make_windows
from assets_data.lineage import Snapshot, Store, with_overrides
from benchmarks.result import save
from training.recipe import Recipe, discover
from training.recipes.geno_lewm.config import STATES
from training.recipes.geno_lewm.state_table import make_state_table
from training.stages import make_checkpoint, make_gate_report, make_preflight_report


def dataset(store: Store, preset: str, fold: int) -> Snapshot:
    """The manifest of one fold."""
    config = with_overrides(PRESETS[preset](), {"split.fold": fold})
    reference = make_reference(store, config)
    variants = {name: make_variants(store, name, config) for name in slice_names(config)}
    split = make_split(store, reference, config)
    windows = make_windows(store, reference, split, config)
    trajectories = make_trajectories(store, reference, split, variants, config)
    return make_dataset_manifest(store, reference, split, windows, trajectories, variants)


def trained(store: Store, recipe: Recipe, inputs: dict[str, Snapshot], preset: str, seed: int) -> dict[str, Any]:
    """Preflight, training, gate; the checkpoint, and what the gate said. CPU seconds are those of all three."""
    config, began = with_overrides(recipe.presets[preset](), {"train.seed": seed}), time.process_time()
    preflight = make_preflight_report(store, recipe, inputs, config)
    checkpoint = make_checkpoint(store, recipe, inputs, preflight)
    result = make_gate_report(store, recipe, inputs, preflight, checkpoint).read_json("result.json")
    seconds = round(time.process_time() - began, 1)
    return {"checkpoint": checkpoint, "result": result, "cpu_s": seconds}


def facts(run: dict[str, Any]) -> dict[str, Any]:
    """The verdict, every criterion with its threshold, and the table by edits and kinds."""
    result = run["result"]
    kept = ("name", "value", "threshold", "verdict")
    return {
        "verdict": result["gate"]["verdict"],
        "criteria": [{name: entry.get(name) for name in kept} for entry in result["gate"]["criteria"]],
        "scalars": result["metrics"]["scalars"],
        "groups": result["metrics"]["tables"].get("groups", []),
        "cpu_s": run["cpu_s"],
    }


def main() -> None:
    """One fold, every seed asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fold", type=int)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    root = options.root or Path(tempfile.mkdtemp(prefix="geno-"))
    store, recipes = Store(root), discover()
    manifest = dataset(store, options.preset, options.fold)
    encoder = trained(store, recipes["dna_lm"], {"manifest": manifest}, options.preset, 0)
    table = make_state_table(store, manifest, encoder["checkpoint"], STATES[options.preset]())
    inputs = {"manifest": manifest, "encoder": encoder["checkpoint"], "state_table": table}
    figures: dict[str, Any] = {"fold": options.fold, "preset": options.preset, "encoder": facts(encoder), "seeds": {}}
    for seed in (int(text) for text in options.seeds.split(",")):
        figures["seeds"][str(seed)] = facts(trained(store, recipes["geno_lewm"], inputs, options.preset, seed))
        save("geno_lewm", ["numpy", "torch", "pyarrow"], figures, f"fold{options.fold}")


if __name__ == "__main__":
    main()
