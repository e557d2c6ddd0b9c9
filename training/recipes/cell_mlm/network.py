"""The regulatory network: how well scores of (regulator, gene) pairs rank the edges of a simulation.

Beside the model: correlation, within types too, ridge regression, and what knock-downs in training cells change.
Shapes: M training cells, G genes, R regulators, T genes that are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.findings import Evaluation, Measurement
from training.recipes.cell_mlm.regulators import Known, without_types


def judge_network(truth: Mapping[str, Any], known: Known, said: Mapping[str, np.ndarray]) -> Evaluation:
    """Average precision and AUROC over all pairs of a regulator and a gene that is none. ``said``: float[R, G] each."""
    targets = np.setdiff1d(np.arange(len(known.names)), known.regulators)
    edges = {(regulator, gene) for regulator, gene, _ in truth["edges"]}
    true_RT = np.array([[(known.names[r], known.names[t]) in edges for t in targets] for r in known.regulators])
    scores = {name: score_RG[:, targets] for name, score_RG in {**said, **_stand_ins(known)}.items()}
    base = float(true_RT.mean())
    aps = {name: average_precision(score_RT.ravel(), true_RT.ravel()) for name, score_RT in scores.items()}
    rocs = {name: auroc(score_RT.ravel(), true_RT.ravel()) for name, score_RT in scores.items()}
    value = aps["model"] / base if base else float("nan")
    return Evaluation(
        measurements=[
            Measurement(name="network_ap", threshold="over_network_ap", value=value, checks=int(true_RT.sum()))
        ],
        scalars={
            "network_base": base,
            **{f"network_ap_{name}": ap for name, ap in aps.items()},
            **{f"network_auroc_{name}": roc for name, roc in rocs.items()},
        },
        summary=[
            f"  network base {base:.3f}",
            *(f"  network {name}: average precision {aps[name]:.3f}, auroc {rocs[name]:.3f}" for name in scores),
        ],
    )


def average_precision(score: np.ndarray, truth: np.ndarray) -> float:
    """The mean, over the true, of the share of true among those that score as high; ties by order given."""
    order = np.argsort(-score, kind="stable")
    hits = truth[order]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()) if hits.any() else float("nan")


def auroc(score: np.ndarray, truth: np.ndarray) -> float:
    """The chance that a true one scores above a false one, ties counting half (Mann-Whitney)."""
    ranks = np.empty(len(score))
    ranks[np.argsort(score, kind="stable")] = np.arange(1, len(score) + 1)
    _, inverse = np.unique(score, return_inverse=True)
    ranks = (np.bincount(inverse, ranks) / np.bincount(inverse))[inverse]
    hits = int(truth.sum())
    return float((ranks[truth].sum() - hits * (hits + 1) / 2) / max(1, hits * (len(truth) - hits)))


def _stand_ins(known: Known) -> dict[str, np.ndarray]:
    """float[R, G] each: how much a gene goes with a regulator in training cells."""
    control_M = known.controls_M
    within_MG = without_types(known.logs_MG, known.labels_M)
    return {
        "correlation": _correlation(known.logs_MG[control_M], known.regulators),
        "within_type": _correlation(within_MG[control_M], known.regulators),
        "ridge": np.abs(known.slopes_RG),
        "knock_down": np.abs(_knock_down_shifts(known)),
    }


def _knock_down_shifts(known: Known) -> np.ndarray:
    """float64[R, G]: what the knock-down of each regulator changes in training cells; 0 without one."""
    shift_RG = np.zeros((len(known.regulators), len(known.names)))
    for place, regulator in enumerate(known.regulators):
        if (mean_G := known.knocked_down(known.names[int(regulator)])) is not None:
            shift_RG[place] = mean_G - known.logs_MG[known.controls_M].mean(0)
    return shift_RG


def _correlation(logs_MG: np.ndarray, regulators: np.ndarray) -> np.ndarray:
    centred = logs_MG - logs_MG.mean(0)
    scaled = centred / (np.sqrt(np.square(centred).sum(0)) + 1e-9)
    return np.abs(scaled[:, regulators].T @ scaled)
