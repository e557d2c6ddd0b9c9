"""What states by position bring to insertions and deletions: the demo of ``geno_lewm`` on pooled states, beside.

What slides into a window is not in the mean of the bases around the anchor, but it lies further out in the window. The
pooled table is made with the same encoder on the same trajectories; predictor, loss, order of updates, their number and
seed are the demo's. Skill is the share of the error of predicting no change that is taken away, on test rows; beside it
that of ridge regression on what each predictor gets.
Usage: ``python -m benchmarks.geno_indels ROOT [ROOT...]``: stores that ``benchmarks.geno_lewm`` left, one per fold.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from assets_data.lineage import Store
from benchmarks.geno_lewm import facts, trained
from benchmarks.geno_variants import newest
from benchmarks.result import save
from training.recipe import discover
from training.recipes.geno_lewm.config import STATES
from training.recipes.geno_lewm.score import parent_of
from training.recipes.geno_lewm.state_table import make_state_table

RIDGE = {"pooled": "ridge_with_state", "positions": "ridge_with_positions"}


def fold(root: Path) -> dict[str, Any]:
    """Skill by number of edits and by kind, of both predictors and of ridge on the same."""
    store, recipe = Store(root), discover()["geno_lewm"]
    checkpoint, manifest = newest(store)
    encoder = parent_of(store, checkpoint, "encoder")
    skill: dict[str, dict[str, float]] = defaultdict(dict)
    for state, ridge in RIDGE.items():
        config = replace(STATES["demo"](), state=state)
        table = make_state_table(store, manifest, encoder, config)
        inputs = {"manifest": manifest, "encoder": encoder, "state_table": table}
        for group in facts(trained(store, recipe, inputs, "demo", 0))["groups"]:
            found = {state: group["skill"], f"ridge, {state}": group[f"skill_{ridge}"]}
            skill[group["group"]] |= {name: round(value, 4) for name, value in found.items()}
    return dict(skill)


def main() -> None:
    """Fold by fold; the file is written anew after each."""
    figures: dict[str, Any] = {}
    for number, root in enumerate(sys.argv[1:]):
        with tempfile.TemporaryDirectory() as copy:  # a store of one predictor per seed stays one
            figures[f"fold {number}"] = fold(shutil.copytree(root, Path(copy) / "store"))
        save("geno_indels", ["numpy", "torch"], figures)


if __name__ == "__main__":
    main()
