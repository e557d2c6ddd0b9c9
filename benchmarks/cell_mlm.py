"""cell_mlm beside every baseline of its gate, on seeds that decide nothing but the model: all of its figures.

Every run goes through the stages that a user's run goes through, on the data presets of the same name. ``demo`` trains
three seeds on the embedded cells, ``simulated`` one on the simulated tissue, ``smoke`` shows that this file works.
Usage: ``python -m benchmarks.cell_mlm demo|simulated|smoke [--root DIR] [--seeds 0 1 2]``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.domains.cells.config import CELLS, SOURCES
from assets_data.domains.cells.manifest import make_dataset_manifest
from assets_data.domains.cells.matrix import make_matrix
from assets_data.domains.cells.raw_cells import make_raw_cells
from assets_data.domains.cells.sources import slice_names
from assets_data.domains.cells.vocabulary import make_vocabulary
from assets_data.lineage import Snapshot, Store, with_overrides
from benchmarks.result import save
from training.recipe import discover
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

RECIPE = discover()["cell_mlm"]
SEEDS = {"demo": [0, 1, 2], "simulated": [0], "smoke": [0]}


def dataset(store: Store, preset: str) -> Snapshot:
    """The manifest that the cells presets of this name make."""
    source, config = SOURCES[preset](), CELLS[preset]()
    raw = {name: make_raw_cells(store, name, source) for name in slice_names(source)}
    vocabulary = make_vocabulary(store, raw, config)
    matrices = {name: make_matrix(store, cells, vocabulary, config) for name, cells in raw.items()}
    return make_dataset_manifest(store, matrices, vocabulary)


def run(store: Store, inputs: Mapping[str, Snapshot], config: Any) -> dict[str, Any]:
    """Preflight, training, gate; everything that was measured, and each criterion with its interval."""
    preflight = make_preflight_report(store, RECIPE, inputs, config)
    checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
    result = make_gate_report(store, RECIPE, inputs, preflight, checkpoint).read_json("result.json")
    return {
        "gate": result["gate"]["verdict"],
        "train_seconds": round(checkpoint.stats["train_seconds"], 1),
        "updates": config.train.updates,
        "criteria": result["gate"]["criteria"],
        "scalars": {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in sorted(result["metrics"]["scalars"].items())
        },
        "summary": result["summary"],
    }


def main() -> None:
    """Train in turn and save."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("preset", choices=sorted(SEEDS))
    arguments.add_argument("--root", type=Path, help="a store to work in, so that finished runs are not repeated")
    arguments.add_argument("--seeds", type=int, nargs="*", help="others than the preset's")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store((options.root or Path(folder)) / "store")
        inputs = dict.fromkeys(RECIPE.inputs, dataset(store, options.preset))
        config = RECIPE.presets[options.preset]()
        rows = inputs["manifest"].read_json("manifest.json")["splits"]["matrix"]
        figures: dict[str, Any] = {"rows": rows, "runs": []}
        for seed in options.seeds or SEEDS[options.preset]:
            outcome = run(store, inputs, with_overrides(config, {"train.seed": seed}))
            print(seed, *outcome["summary"], sep="\n", flush=True)
            figures["runs"].append({"seed": seed, **outcome})
    save("cell_mlm", ["torch", "numpy"], figures, options.preset)


if __name__ == "__main__":
    main()
