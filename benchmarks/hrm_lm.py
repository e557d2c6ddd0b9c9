"""hrm_lm with its core and without it, at the same parameter budget: exact match on sums, loss on held-out text.

Without the core, encoder layers and feed-forward width make up for its parameters. ``core_over_tokens`` is the core of
the preset ``flood`` (a latent per token, segments, full gradient) in the place of the preset's own. Every run goes
through the stages a user's run goes through; ``arithmetic`` trains three seeds of each, ``demo`` one, ``smoke`` shows
that this file works.

    python -m benchmarks.hrm_lm arithmetic|demo|smoke [--arms core_over_tokens] [--seeds 0,1] [--root DIR]
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from assets_data.domains.text.config import PRESETS as TEXT
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import Snapshot, Store, with_overrides
from assets_data.sources.config import PRESETS as SOURCES
from assets_data.sources.sources import slice_names
from benchmarks.result import save
from benchmarks.text_chain import make_text
from training.recipe import discover
from training.recipes.hrm_lm.config import HrmLmConfig, ModelConfig
from training.recipes.hrm_lm.presets import FLOOD_CORE
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

RECIPE = discover()["hrm_lm"]
SEEDS = {"arithmetic": (0, 1, 2), "demo": (0,), "smoke": (0,)}
ARMS, TOKENS = ("core", "no_core"), "core_over_tokens"
KEPT = (
    "heldout_loss",
    "heldout_loss_interval",
    "unigram_loss",
    "bigram_loss",
    "exact_match",
    "slot_spread",
    "gate_open",
)


def dataset(store: Store, preset: str) -> Snapshot:
    """The manifest that the text presets of this name make; for sums, the smallest one, as it is only an anchor."""
    name = "demo" if preset == "demo" else "smoke"
    raw = {slice_: make_raw_slice(store, slice_, SOURCES[name]()) for slice_ in slice_names(SOURCES[name]())}
    text = make_text(store, raw, TEXT[name]())
    return make_dataset_manifest(store, text.triples, text.tokenizer)


def parameters(config: HrmLmConfig, vocab_size: int) -> int:
    """Parameters of the model, without building it in memory."""
    with torch.device("meta"):
        model = RECIPE.build_model(config, {"vocab_size": vocab_size})
    return sum(parameter.numel() for parameter in model.parameters())


def without_core(config: HrmLmConfig, vocab_size: int) -> HrmLmConfig:
    """The plain encoder-decoder whose parameter count is nearest."""
    wanted = parameters(config, vocab_size)
    extra = range(config.model.encoder_layers, config.model.encoder_layers + 9)
    candidates = [
        replace(config, model=replace(config.model, memory="encoder", encoder_layers=layers, ff_multiplier=width))
        for layers, width in itertools.product(extra, range(2, 9))
    ]
    return min(candidates, key=lambda candidate: abs(parameters(candidate, vocab_size) - wanted))


def over_tokens(config: HrmLmConfig) -> HrmLmConfig:
    """The core of the preset ``flood``, which sees every token; its window and reach are for mazes. On one thread."""
    bare = replace(config.model, prefix_len=ModelConfig().prefix_len, core=replace(FLOOD_CORE, reach=0))
    return with_overrides(replace(config, model=bare), {"train.threads": 1})


def run(store: Store, inputs: Mapping[str, Snapshot], config: HrmLmConfig) -> dict[str, Any]:
    """Preflight, training, gate; what came of it."""
    preflight = make_preflight_report(store, RECIPE, inputs, config)
    checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
    result = make_gate_report(store, RECIPE, inputs, preflight, checkpoint).read_json("result.json")
    scalars = result["metrics"]["scalars"]
    return {
        "parameters": scalars["parameters"],
        "encoder_layers": config.model.encoder_layers,
        "ff_multiplier": config.model.ff_multiplier,
        "updates": config.train.updates,
        "rows_seen": config.train.updates * config.train.batch_rows,
        "train_seconds": round(checkpoint.stats["train_seconds"], 1),
        "gate": result["gate"]["verdict"],
        **{name: scalars[name] for name in KEPT if name in scalars},
    }


def main() -> None:
    """Train in turn and save."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("preset", choices=sorted(SEEDS))
    arguments.add_argument("--arms", default=",".join(ARMS), help="of core, no_core, core_over_tokens")
    arguments.add_argument("--seeds", help="in the place of the preset's")
    arguments.add_argument("--root", type=Path, help="a store to work in, so that finished runs are not repeated")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store((options.root or Path(folder)) / "store")
        inputs = dict.fromkeys(RECIPE.inputs, dataset(store, options.preset))
        config = RECIPE.presets[options.preset]()
        facts = RECIPE.model_inputs(RECIPE.open_data(store, inputs, config), config)
        made = {"core": config, "no_core": without_core(config, facts["vocab_size"]), TOKENS: over_tokens(config)}
        arms = options.arms.split(",")
        figures: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
        seeds = map(int, options.seeds.split(",")) if options.seeds else SEEDS[options.preset]
        for seed, name in itertools.product(seeds, arms):
            outcome = run(store, inputs, with_overrides(made[name], {"train.seed": seed}))
            print(name, seed, outcome, flush=True)
            figures[name].append({"seed": seed, **outcome})
    save("hrm_lm", ["torch", "numpy"], figures, "_".join((options.preset, *(() if arms == list(ARMS) else arms))))


if __name__ == "__main__":
    main()
