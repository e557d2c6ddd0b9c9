"""Cells of another vocabulary, as a trained model takes them: genes by name, ranks by the model's own medians.

The model's genes are in its checkpoint (``model_inputs``), so cells of any file or manifest are mapped by name, and
never by column. Genes that the model does not know are left out, and cells it knows too little of are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets_data.domains.cells.read import Vocabulary
from assets_data.lineage import DataError, text_key64
from training.recipes.cell_mlm.tokens import Ranked

KNOWN = 0.5
"""Least share of the counts that the model must know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remapped:
    """Rows of ``cells`` as rows over a model's vocabulary, in its rank order. ``place``: -1 for a gene it lacks."""

    cells: Ranked
    place: np.ndarray
    vocabulary: Vocabulary

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[N]."""
        return self.cells.row_keys

    @property
    def totals(self) -> np.ndarray:
        """int64[N]."""
        return self.cells.totals

    @property
    def rows(self) -> Remapped:
        """Itself: it has ``take``."""
        return self

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``(lengths, genes, counts)``, see ``read.Ragged.take``. A cell of which no gene is known has length 0."""
        lengths, genes, counts = self.cells.rows.take(rows)
        row, place = np.repeat(np.arange(len(rows)), lengths), self.place[genes]
        inside = place >= 0
        row, place, counts = row[inside], place[inside], counts[inside]
        scaled = counts / self.totals[rows][row].astype(np.float64) * self.vocabulary.document["scale"]
        score = (scaled / self.vocabulary.medians[place]).astype(np.float32)
        order = np.lexsort((self.vocabulary.keys[place], -score, row))
        return np.bincount(row, minlength=len(rows)), place[order], counts[order]


def model_vocabulary(inputs: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary that a checkpoint carries. Raises DataError CELL_PREPROCESSING where it carries none."""
    if missing := {"genes", "medians", "vocabulary"} - set(inputs):
        what, action = "the checkpoint does not say which genes it means", "train it again"
        raise DataError("CELL_PREPROCESSING", what, expected=sorted(missing), action=action)
    names = list(inputs["genes"])
    return Vocabulary(
        names=names,
        keys=text_key64(names),
        cells=np.zeros(len(names), np.int64),
        medians=np.array(inputs["medians"], np.float32),
        document=inputs["vocabulary"],
    )


def remap(cells: Ranked, names: Sequence[str], vocabulary: Vocabulary, naming: str = "") -> Remapped:
    """``cells`` whose genes are called ``names``. Raises DataError CELL_GENES_UNKNOWN where under half of the first
    4,096 cells' counts are of genes that the model knows, and CELL_PREPROCESSING where genes are named in another way.
    """
    if naming and naming != (wanted := vocabulary.document["naming"]):
        action = f"map the names to {wanted} ones"
        what = "the model was trained on genes that are named in another way"
        raise DataError("CELL_PREPROCESSING", what, expected=wanted, found=naming, action=action)
    order = {name: place for place, name in enumerate(vocabulary.names)}
    place = np.array([order.get(name, -1) for name in names], np.int64)
    _, genes, counts = cells.rows.take(np.arange(min(len(cells.row_keys), 4096)))
    known = counts[place[genes] >= 0].sum() / max(1, counts.sum())
    if known < KNOWN:
        what = f"the model knows {known:.1%} of these cells' counts"
        expected = f"at least {KNOWN:.0%}, genes such as {list(vocabulary.names[:3])}"
        action = "map the names of genes, or train on these cells"
        raise DataError("CELL_GENES_UNKNOWN", what, expected=expected, found=list(names[:3]), action=action)
    return Remapped(cells=cells, place=place, vocabulary=vocabulary)


def embed(model: Any, config: Any, inputs: Mapping[str, Any], cells: Any) -> np.ndarray:
    """float32[n, D] of cells whose genes have names, see ``assets_data.domains.cells.read.NamedCells``.

    A cell of which no gene is known gets zeros.
    """
    from training.recipes.cell_mlm.contestants import embed_rows

    vocabulary = model_vocabulary(inputs)
    mapped = remap(cells, cells.names, vocabulary, cells.naming)
    lengths, _, _ = mapped.take(np.arange(len(cells.row_keys)))
    found = np.zeros((len(lengths), config.model.width), np.float32)
    known = np.flatnonzero(lengths)
    found[known] = embed_rows(model, mapped, vocabulary, config, known)
    return found
