"""The cells a run trains on, with the held-out ones beside: ``validation`` is watched, ``test`` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets_data.documents import read_layout
from assets_data.domains.cells.read import Cells, Layout, Vocabulary, open_cells, open_members, open_vocabulary
from assets_data.lineage import Snapshot, Store
from training.data import TableRef
from training.recipes.cell_mlm.config import CellMlmConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The cells of one split as rows; ``held_out`` cells are always masked in the same way."""

    cells: Cells
    vocabulary: Vocabulary
    held_out: bool

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[N]: the order's keys."""
        return self.cells.row_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class CellData(Split):
    """The training cells."""

    validation: Split
    test: Split
    members: Mapping[str, str]
    tables: Sequence[TableRef]
    order_values: np.ndarray
    """float64[N]: copies or levels, whichever the order's kind takes."""
    items_per_row: float
    layouts: Mapping[str, Mapping[str, Any]]
    """By dataset: naming, origin, and the truth where cells were simulated."""


def open_data(store: Store, inputs: Mapping[str, Snapshot], config: CellMlmConfig) -> CellData:
    """Verified and memory-mapped."""
    learned, matrices = open_members(store, inputs["manifest"])
    vocabulary = open_vocabulary(learned)
    splits = {name: open_cells(matrices, name) for name in ("train", "validation", "test")}
    train = splits["train"]
    column = "copies" if config.objective.balance == "copies" else "level"
    return CellData(
        cells=train,
        vocabulary=vocabulary,
        held_out=False,
        validation=Split(cells=splits["validation"], vocabulary=vocabulary, held_out=True),
        test=Split(cells=splits["test"], vocabulary=vocabulary, held_out=True),
        members={"vocabulary": learned.id, **{f"matrix/{name}": s.id for name, s in matrices.items()}},
        tables=[TableRef(s.id, "train.arrow") for s in matrices.values()],
        order_values=train.table[column].to_numpy().astype(np.float64),
        items_per_row=1.0,
        layouts={name: read_layout(s, Layout) for name, s in matrices.items()},
    )
