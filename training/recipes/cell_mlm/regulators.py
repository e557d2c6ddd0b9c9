"""What training cells say of regulators without a model: what knock-downs change, and slopes within cell types.

Shapes: M training cells, G genes, R regulators. Values are log1p(1e4 count / total).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.recipes.cell_mlm.data import CellData
from training.recipes.cell_mlm.value_baselines import dense

MOST_TRAINING = 6000
PENALTY = 10.0
LEAST_CELLS = 4
"""In fewer cells the mean of a knock-down says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What baselines know: training cells, and which genes are regulators (``regulators``: places in ``names``)."""

    names: Sequence[str]
    regulators: np.ndarray
    logs_MG: np.ndarray
    labels_M: np.ndarray
    perturbed_M: np.ndarray
    """The gene that was knocked down in each cell; "" in a control."""
    high_R: np.ndarray
    """A high count of each regulator: the 95th percentile, at least 1."""
    slopes_RG: np.ndarray
    """Change of a gene per change of a regulator, see ``_ridge``."""

    @property
    def controls_M(self) -> np.ndarray:
        """bool[M]: the cells in which nothing was knocked down."""
        return self.perturbed_M == ""

    def knocked_down(self, gene: str) -> np.ndarray | None:
        """float32[G]: the mean cell in which a gene was knocked down; None where there are too few of them."""
        chosen_M = self.perturbed_M == gene
        return self.logs_MG[chosen_M].mean(0) if chosen_M.sum() >= LEAST_CELLS else None


def know(data: CellData, regulators: Sequence[str]) -> Known:
    """Up to ``MOST_TRAINING`` training cells, the first by key. Regulators that the vocabulary lacks are left out."""
    names = list(data.vocabulary.names)
    places_R = np.array([names.index(name) for name in regulators if name in names], np.int64)
    rows = np.sort(np.argsort(data.row_keys, kind="stable")[:MOST_TRAINING])
    counts_MG, logs_MG = dense(data, rows)
    labels_M, perturbed_M = (np.array(data.cells.names(name), object)[rows] for name in ("label", "perturbation"))
    control_M = perturbed_M == ""
    return Known(
        names=names,
        regulators=places_R,
        logs_MG=logs_MG,
        labels_M=labels_M,
        perturbed_M=perturbed_M,
        high_R=np.maximum(np.quantile(counts_MG[:, places_R], 0.95, axis=0).astype(np.int64), 1),
        slopes_RG=_ridge(logs_MG[control_M], labels_M[control_M], places_R),
    )


def without_types(logs_MG: np.ndarray, labels_M: np.ndarray) -> np.ndarray:
    """A copy with the mean of each cell's type taken out."""
    centred_MG, types_M = logs_MG.copy(), labels_M.astype("U")
    for name in np.unique(types_M):
        centred_MG[types_M == name] -= centred_MG[types_M == name].mean(0)
    return centred_MG


def _ridge(logs_MG: np.ndarray, labels_M: np.ndarray, regulators: np.ndarray) -> np.ndarray:
    """float64[R, G]: change of a gene per change of a regulator, regressed together, types' means taken out."""
    logs_MG = without_types(logs_MG.astype(np.float64), labels_M)
    design_MR = logs_MG[:, regulators]
    return np.linalg.solve(design_MR.T @ design_MR + PENALTY * np.eye(len(regulators)), design_MR.T @ logs_MG)
