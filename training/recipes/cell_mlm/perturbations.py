"""Perturbations: what knock-downs that no training cell has change, as the model says and as baselines do.

Baselines: no change (which has a squared error and no correlation), the mean change of the knock-downs in training
cells, that of the own gene alone, and ridge regression within types. Shapes: N test cells, G genes, R regulators,
P knock-downs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.findings import Evaluation, Measurement
from training.recipes.cell_mlm.data import CellData
from training.recipes.cell_mlm.intervals import interval
from training.recipes.cell_mlm.regulators import LEAST_CELLS, Known
from training.recipes.cell_mlm.value_baselines import dense

JUDGED = ("perturbation_r", "perturbation_mse")
NO_CHANGE = "no_change"


def judge_perturbations(
    data: CellData, known: Known, model_RG: np.ndarray, registered: Mapping[str, Any]
) -> Evaluation:
    """Mean Pearson r of the change, and its squared error, over knock-downs that no training cell has.

    ``model_RG`` is the change that the model expects of each regulator's knock-down.
    """
    _, logs_NG = dense(data.test, np.arange(len(data.test.cells)))
    perturbed_N = np.array(data.test.cells.names("perturbation"), object)
    unseen_P = _unseen(known, perturbed_N)
    if not len(unseen_P):
        none = [Measurement.undetermined(name, f"over_{name}") for name in JUDGED]
        return Evaluation(measurements=none, summary=["  perturbation: undetermined, no knock-down is held out"])
    rows_P = [np.flatnonzero(perturbed_N == known.names[gene]) for gene in known.regulators[unseen_P]]
    base_G = logs_NG[perturbed_N == ""].mean(0)
    true_PG = _changes(logs_NG, rows_P, base_G)
    halves = [_changes(logs_NG, [rows[half::2] for rows in rows_P], base_G) for half in (0, 1)]
    said = _contestants(known, unseen_P, model_RG, base_G)
    r_of = {name: _pearson(change_PG, true_PG) for name, change_PG in said.items() if name != NO_CHANGE}
    mse_of = {name: np.square(change_PG - true_PG).mean(1) for name, change_PG in said.items()}
    return Evaluation.joined(
        [
            _reported({**r_of, "ceiling": _pearson(*halves)}, mse_of),
            _over_ridge("perturbation_r", r_of["model"] - r_of["ridge"], registered),
            _over_ridge("perturbation_mse", mse_of["ridge"] - mse_of["model"], registered),
        ]
    )


def _unseen(known: Known, perturbed_N: np.ndarray) -> np.ndarray:
    """int64[P]: which regulators are knocked down in enough test cells, and in no training cell."""
    seen = set(known.perturbed_M.tolist())
    names = [known.names[gene] for gene in known.regulators]
    held_out = [name not in seen and (perturbed_N == name).sum() >= LEAST_CELLS for name in names]
    return np.flatnonzero(held_out)


def _changes(logs_NG: np.ndarray, rows_P: Sequence[np.ndarray], base_G: np.ndarray) -> np.ndarray:
    """float32[P, G]: the mean of some cells for each knock-down, less that of the controls."""
    return np.stack([logs_NG[rows].mean(0) for rows in rows_P]) - base_G


def _contestants(known: Known, unseen_P: np.ndarray, model_RG: np.ndarray, base_G: np.ndarray) -> dict[str, np.ndarray]:
    """float[P, G] each: the change that the model and every baseline expect. ``base_G`` is the mean control."""
    genes_P = known.regulators[unseen_P]
    nothing_PG = np.zeros((len(genes_P), len(base_G)), base_G.dtype)

    def gone(change_PG: np.ndarray) -> np.ndarray:
        """That the regulator itself is gone is given."""
        change_PG[np.arange(len(genes_P)), genes_P] = -base_G[genes_P]
        return change_PG

    return {
        "model": gone(model_RG[unseen_P]),
        NO_CHANGE: nothing_PG,
        "mean_shift": np.tile(_mean_shift(known), (len(genes_P), 1)),
        "own_gene": gone(nothing_PG.copy()),
        "ridge": gone(-known.slopes_RG[unseen_P] * base_G[genes_P][:, None]),
    }


def _mean_shift(known: Known) -> np.ndarray:
    """float32[G]: what the knock-downs of training cells change on average; nothing where there are none."""
    found = [known.knocked_down(name) for name in sorted(set(known.perturbed_M.tolist()) - {""})]
    means = [mean_G for mean_G in found if mean_G is not None]
    if not means:
        return np.zeros(known.logs_MG.shape[1], np.float32)
    return np.mean(means, 0) - known.logs_MG[known.controls_M].mean(0)


def _reported(r_of: Mapping[str, np.ndarray], mse_of: Mapping[str, np.ndarray]) -> Evaluation:
    """The means over knock-downs, which nobody judges."""
    said: dict[str, list[str]] = {}
    for measure, digits, found in (("r", 3, r_of), ("mse", 5, mse_of)):
        for name, values_P in found.items():
            said.setdefault(name, []).append(f"{measure} {values_P.mean():.{digits}f}")
    lines = [f"  perturbation {name}: {', '.join(parts)}" for name, parts in said.items()]
    scalars = {f"perturbation_r_{name}": float(r_P.mean()) for name, r_P in r_of.items()}
    scalars |= {f"perturbation_mse_{name}": float(mse_P.mean()) for name, mse_P in mse_of.items()}
    return Evaluation(scalars=scalars, summary=lines)


def _over_ridge(name: str, gain_P: np.ndarray, registered: Mapping[str, Any]) -> Evaluation:
    """How much better than ridge regression the model is, over knock-downs."""
    bounds = interval(gain_P, np.arange(len(gain_P)), registered["resamples"], registered["seed"])
    line = (
        f"  {name} over ridge {gain_P.mean():+.4f} "
        f"[{bounds[0]:+.4f}, {bounds[1]:+.4f}], {'beaten' if bounds[0] > 0 else 'not beaten'}"
    )
    return Evaluation(measurements=[Measurement.lower_bound(name, f"over_{name}", bounds, len(gain_P))], summary=[line])


def _pearson(said_PG: np.ndarray, true_PG: np.ndarray) -> np.ndarray:
    said, true = said_PG - said_PG.mean(1, keepdims=True), true_PG - true_PG.mean(1, keepdims=True)
    return (said * true).sum(1) / (np.sqrt(np.square(said).sum(1) * np.square(true).sum(1)) + 1e-12)
