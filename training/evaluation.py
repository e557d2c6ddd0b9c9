"""The losses of a published checkpoint over rows of a split, outside any run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from assets_data.lineage import ConfigError, Snapshot, Store, keyed_order
from training.callbacks import evaluating
from training.config import derived_seed
from training.environment import autocast, reproducible
from training.recipe import Recipe
from training.stages import config_of, load_model


def mean_losses(
    recipe: Recipe, store: Store, inputs: Mapping[str, Snapshot], checkpoint: Snapshot, split: str, max_rows: int
) -> dict[str, float]:
    """Name of each loss to its mean over the items of at most ``max_rows`` rows, which are the keyed first ones.

    Raises ConfigError SPLIT_EMPTY where the split has no row.
    """
    config = config_of(recipe, checkpoint)
    data = recipe.open_data(store, inputs, config)
    rows = {"train": data, "validation": data.validation}.get(split)
    if rows is None or not len(rows.row_keys):
        raise ConfigError("SPLIT_EMPTY", "no row of this split", expected="train or validation", found=split)
    seed = derived_seed(config.train.seed, "validation")
    chosen = np.sort(keyed_order(seed, 0, rows.row_keys)[:max_rows])
    total: dict[str, float] = {}
    items = 0
    with reproducible(config.train) as device:
        model = load_model(recipe, checkpoint).to(device)
        with evaluating(model), autocast(config.train, device), torch.no_grad():
            for begin in range(0, len(chosen), config.train.batch_rows):
                part = chosen[begin : begin + config.train.batch_rows]
                batch = recipe.batch(rows, config, part, np.zeros(len(part), np.int64))
                count = len(part) if recipe.items is None else recipe.items(batch)
                losses = recipe.loss(model, config, {name: value.to(device) for name, value in batch.items()})
                for name, value in losses.items() if count else ():
                    total[name] = total.get(name, 0.0) + float(value) * count
                items += count
    return {name: value / items for name, value in total.items()} if items else {}
