"""Which held-out cells are judged, and their batches: always the same cells, masked in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from training.recipes.cell_mlm.batches import make_batch
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import Split
from training.recipes.cell_mlm.tokens import uniform_cells

BATCH = 64


def chosen_rows(split: Split, most: int, seed: int) -> np.ndarray:
    """int64[n], ascending: a keyed draw of cells, of which a withdrawn one changes no other."""
    drawn = np.argsort(uniform_cells(seed, split.row_keys), kind="stable")
    return np.sort(drawn[:most])


def held_out_batches(split: Split, config: CellMlmConfig, rows: np.ndarray) -> Iterator[dict[str, Any]]:
    """Batches of held-out cells in the order of ``rows``; always of epoch 0."""
    for begin in range(0, len(rows), BATCH):
        part = rows[begin : begin + BATCH]
        yield make_batch(split.cells, split.vocabulary, config, part, np.zeros(len(part), np.int64), True)
