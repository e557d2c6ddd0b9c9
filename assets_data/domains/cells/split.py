"""Which split a cell belongs to: a keyed function of its group's name, and of what was perturbed in it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets_data.domains.cells.config import SplitConfig
from assets_data.lineage import text_key64, uniform01

LEFT_OUT = ""
"""The split of a training donor's cell with a perturbation that is never trained on."""


def assign_splits(cells: pa.Table | pa.RecordBatch, config: SplitConfig) -> np.ndarray:
    """str[n]: the split of each cell of a ``cells.parquet``, or LEFT_OUT."""
    draw = _each(cells["group_id" if config.by == "group" else "record_id"].to_pylist(), config.seed, "cells/split")
    held_out = config.validation_share + config.test_share
    split = np.select([draw < config.test_share, draw < held_out], ["test", "validation"], default="train")
    return np.where((split == "train") & is_unseen(cells["perturbation"].to_pylist(), config), LEFT_OUT, split)


def is_unseen(perturbations: list[str], config: SplitConfig) -> np.ndarray:
    """bool[n]: which perturbations are never trained on. A control is none."""
    drawn = _each(perturbations, config.seed, "cells/perturbation") < config.perturbations
    return drawn & (np.array(perturbations, object) != "")


def _each(names: list[str], seed: int, stream: str) -> np.ndarray:
    distinct = sorted(set(names))
    place = {name: number for number, name in enumerate(distinct)}
    draws = uniform01(seed, stream, text_key64(distinct))
    return draws[[place[name] for name in names]] if names else np.empty(0)
