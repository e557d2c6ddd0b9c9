"""Perturbations and the regulatory network: what a model of values says when a regulator is set low, or high.

A hidden target's expected count is asked for with the regulator set to 0 and to its 95th percentile, everything else
as it was counted in control cells; every target is hidden once in ``PASSES`` passes. Perturbations are judged on
knock-downs that no training cell has, the network on the edges of a simulation. Beside: no change, mean shift, own gene
and ridge within types; correlation, within types too, ridge and knock-down shift for the network. Without
perturbed cells or edges there is nothing to judge: undetermined. Shapes: n cells, G genes, R regulators, P
perturbations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from training.findings import Measurement
from training.recipes.cell_mlm.batches import show
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.intervals import interval
from training.recipes.cell_mlm.model import PREFIX, CellModel
from training.recipes.cell_mlm.tokens import Tokens, preprocessing
from training.recipes.cell_mlm.value_baselines import dense

PASSES = 4
CELLS = 24
MOST_TRAINING = 6000
PENALTY = 10.0
Found = tuple[list[Measurement], dict[str, Any], list[str]]


def expected_logs(
    model: CellModel, config: CellMlmConfig, data: Split, counts_NG: np.ndarray, totals_N: np.ndarray
) -> np.ndarray:
    """float32[n, G]: log1p(1e4 expected / total) of every gene, asked while it is hidden."""
    cells, genes = counts_NG.shape
    prepared, device = preprocessing(config.tokens, data.vocabulary.document), next(model.parameters()).device
    places = np.broadcast_to(np.arange(genes), counts_NG.shape)
    tokens = Tokens(genes_BT=places, counts_BT=counts_NG, totals_B=totals_N, keys_B=np.zeros(cells, np.uint64))
    found = np.zeros((cells, genes), np.float32)
    with torch.no_grad():
        for part in range(PASSES):
            hidden_G = np.arange(genes) % PASSES == part
            masked = np.broadcast_to(hidden_G, counts_NG.shape)
            batch = {name: value.to(device) for name, value in show(tokens, prepared, masked).items()}
            x_KD = model(batch)[:, PREFIX:][:, torch.from_numpy(hidden_G)].flatten(0, 1)
            genes_K = torch.from_numpy(np.tile(np.flatnonzero(hidden_G), cells)).to(device)
            log_total_K = torch.from_numpy(np.repeat(np.log(totals_N), hidden_G.sum()).astype(np.float32)).to(device)
            logs_K = _expected(model, config, x_KD, genes_K, log_total_K, prepared.number)
            found[:, hidden_G] = logs_K.float().cpu().numpy().reshape(cells, -1)
    return found


def regulation(model: CellModel, data: CellData, config: CellMlmConfig, registered: Mapping[str, Any]) -> Found:
    """Both assessments, for a model of values on cells with a truth; what is undetermined is said."""
    truth = next((layout["truth"] for layout in data.layouts.values() if layout.get("truth")), None)
    wanted = [
        name
        for name, asked in (
            ("perturbation_r", config.gate.perturbation),
            ("perturbation_mse", config.gate.perturbation),
            ("network_ap", config.gate.network),
        )
        if asked
    ]
    if truth is None or config.model.family != "encoder" or config.objective.task != "values":
        none = [Measurement(name=name, threshold=f"over_{name}", value=float("nan"), checks=0) for name in wanted]
        return (
            none,
            {},
            ["  perturbation, network: undetermined, there is no truth or the model gives no counts"] if wanted else [],
        )
    names = list(data.vocabulary.names)
    regulators = np.array([names.index(name) for name in truth["regulators"] if name in names], np.int64)
    control = _controls(data.test)
    counts_NG, _ = dense(data.test, control)
    totals_N = data.test.cells.totals[control]
    training = np.sort(np.argsort(data.row_keys, kind="stable")[:MOST_TRAINING])
    logs_MG = dense(data, training)[1]
    perturbed = np.array(data.cells.names("perturbation"), object)[training]
    labels = np.array(data.cells.names("label"), object)[training]
    high_R = np.quantile(dense(data, training)[0][:, regulators], 0.95, axis=0).astype(np.int64)
    before = expected_logs(model, config, data, counts_NG, totals_N)
    low, high = [], []
    for regulator, most in zip(regulators, np.maximum(high_R, 1), strict=True):
        for found, count in ((low, 0), (high, most)):
            changed = counts_NG.copy()
            changed[:, regulator] = count
            found.append(expected_logs(model, config, data, changed, totals_N).mean(0))
    low_RG, high_RG = np.stack(low), np.stack(high)
    slopes_RG = _ridge(logs_MG, labels, perturbed, regulators)
    parts = []
    if config.gate.perturbation:
        parts.append(
            _perturbation(data, names, regulators, low_RG - before.mean(0), slopes_RG, logs_MG, perturbed, registered)
        )
    if config.gate.network:
        said = {"model": np.abs(high_RG - low_RG), "embedding_cosine": _cosines(model, regulators)}
        parts.append(_network(truth, names, regulators, said, logs_MG, labels, perturbed, slopes_RG))
    return (
        [m for part, _, _ in parts for m in part],
        {k: v for _, s, _ in parts for k, v in s.items()},
        [line for *_, lines in parts for line in lines],
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


def _perturbation(
    data: CellData,
    names: list[str],
    regulators: np.ndarray,
    model_RG: np.ndarray,
    slopes_RG: np.ndarray,
    logs_MG: np.ndarray,
    perturbed: np.ndarray,
    registered: Mapping[str, Any],
) -> Found:
    """Mean Pearson r of the change, and its squared error, over knock-downs that no training cell has."""
    rows = np.arange(len(data.test.cells))
    held = np.array(data.test.cells.names("perturbation"), object)
    _, logs_NG = dense(data.test, rows)
    seen = set(perturbed.tolist())
    chosen = [(p, r) for p, r in enumerate(regulators) if names[r] not in seen and (held == names[r]).sum() >= 4]
    if not chosen:
        none = [
            Measurement(name=n, threshold=f"over_{n}", value=float("nan"), checks=0)
            for n in ("perturbation_r", "perturbation_mse")
        ]
        return none, {}, ["  perturbation: undetermined, no knock-down is held out"]
    base_G = logs_NG[held == ""].mean(0)
    true_PG = np.stack([logs_NG[held == names[r]].mean(0) - base_G for _, r in chosen])
    known = [logs_MG[perturbed == name].mean(0) for name in sorted(seen - {""}) if (perturbed == name).sum() >= 4]
    shift_G = (np.mean(known, 0) if known else base_G * 0) - (logs_MG[perturbed == ""].mean(0) if known else 0)
    own_PG = np.zeros_like(true_PG)
    for place, (_, r) in enumerate(chosen):
        own_PG[place, r] = -base_G[r]
    halves = [
        np.stack([logs_NG[np.flatnonzero(held == names[r])[h::2]].mean(0) for _, r in chosen]) - base_G for h in (0, 1)
    ]
    drop_P = np.array([base_G[r] for _, r in chosen])
    contestants = {
        "model": np.stack([model_RG[p] for p, _ in chosen]),
        "no_change": np.zeros_like(true_PG) + 1e-9 * np.arange(true_PG.shape[1]),
        "mean_shift": np.tile(shift_G, (len(chosen), 1)),
        "own_gene": own_PG,
        "ridge": -np.stack([slopes_RG[p] for p, _ in chosen]) * drop_P[:, None],
    }
    for place, (_, r) in enumerate(chosen):  # that the regulator itself is gone is given
        contestants["model"][place, r] = contestants["ridge"][place, r] = -base_G[r]
    r_of = {name: _pearson(said, true_PG) for name, said in contestants.items()}
    r_of["ceiling"] = _pearson(halves[0], halves[1])
    mse_of = {name: np.square(said - true_PG).mean(1) for name, said in contestants.items()}
    unit = np.arange(len(chosen))
    lines = [
        f"  perturbation {n}: r {r_of[n].mean():.3f}" + (f", mse {mse_of[n].mean():.5f}" if n in mse_of else "")
        for n in r_of
    ]
    measurements = []
    for name, gain in (
        ("perturbation_r", r_of["model"] - r_of["ridge"]),
        ("perturbation_mse", mse_of["ridge"] - mse_of["model"]),
    ):
        bounds = interval(gain, unit, registered["resamples"], registered["seed"])
        measurements.append(
            Measurement(name=name, threshold=f"over_{name}", value=bounds[0], checks=len(chosen), interval=bounds)
        )
        lines.append(
            f"  {name} over ridge {gain.mean():+.4f} "
            f"[{bounds[0]:+.4f}, {bounds[1]:+.4f}], {'beaten' if bounds[0] > 0 else 'not beaten'}"
        )
    scalars = {f"perturbation_r_{n}": float(v.mean()) for n, v in r_of.items()} | {
        f"perturbation_mse_{n}": float(v.mean()) for n, v in mse_of.items()
    }
    return measurements, scalars, lines


def _network(
    truth: Mapping[str, Any],
    names: list[str],
    regulators: np.ndarray,
    said: Mapping[str, np.ndarray],
    logs_MG: np.ndarray,
    labels: np.ndarray,
    perturbed: np.ndarray,
    slopes_RG: np.ndarray,
) -> Found:
    """Average precision and AUROC over all pairs of a regulator and a gene that is none."""
    edge = {(r, g) for r, g, _ in truth["edges"]}
    targets = np.array([g for g in range(len(names)) if g not in set(regulators.tolist())])
    true = np.array([[(names[r], names[g]) in edge for g in targets] for r in regulators])
    control = perturbed == ""
    within = logs_MG.copy()
    for label in np.unique(labels.astype("U")):
        of = labels.astype("U") == label
        within[of] -= within[of].mean(0)
    shift = np.zeros((len(regulators), len(names)))
    for place, r in enumerate(regulators):
        if (perturbed == names[r]).sum() >= 4:
            shift[place] = logs_MG[perturbed == names[r]].mean(0) - logs_MG[control].mean(0)
    scores = {
        **said,
        "correlation": _correlation(logs_MG[control], regulators),
        "within_type": _correlation(within[control], regulators),
        "ridge": np.abs(slopes_RG),
        "knock_down": np.abs(shift),
    }
    base = float(true.mean())
    aps = {name: average_precision(score[:, targets].ravel(), true.ravel()) for name, score in scores.items()}
    rocs = {name: auroc(score[:, targets].ravel(), true.ravel()) for name, score in scores.items()}
    value = aps["model"] / base if base else float("nan")
    lines = [f"  network base {base:.3f}"] + [
        f"  network {n}: average precision {aps[n]:.3f}, auroc {rocs[n]:.3f}" for n in scores
    ]
    scalars = (
        {"network_base": base}
        | {f"network_ap_{n}": v for n, v in aps.items()}
        | {f"network_auroc_{n}": v for n, v in rocs.items()}
    )
    return (
        [Measurement(name="network_ap", threshold="over_network_ap", value=value, checks=int(true.sum()))],
        scalars,
        lines,
    )


def _controls(split: Split) -> np.ndarray:
    """The first test cells by key in which nothing was perturbed."""
    rows = np.array([row for row, name in enumerate(split.cells.names("perturbation")) if not name], np.int64)
    return rows[np.argsort(split.row_keys[rows], kind="stable")[:CELLS]]


def _expected(model: CellModel, config: CellMlmConfig, x_KD: Any, genes_K: Any, log_total_K: Any, bins: int) -> Any:
    """float[K]: log1p(1e4 expected / total)."""
    if config.objective.value_loss == "mse":
        return model.predicted_value(x_KD, genes_K)
    if config.objective.value_loss == "nb":
        log_mean_K, _ = model.count_parameters(x_KD, genes_K, log_total_K)
        return torch.log1p(1e4 * torch.exp(log_mean_K - log_total_K))
    shares_KV = torch.softmax(model.bin_logits(x_KD, genes_K).float(), 1)
    return shares_KV @ torch.arange(bins, dtype=shares_KV.dtype, device=shares_KV.device)  # in steps of bins: doublings


def _ridge(logs_MG: np.ndarray, labels: np.ndarray, perturbed: np.ndarray, regulators: np.ndarray) -> np.ndarray:
    """float64[R, G]: change of a gene per change of a regulator, regressed together, types' means taken out."""
    kept = perturbed == ""
    logs, names = logs_MG[kept].astype(np.float64), labels[kept].astype("U")
    for label in np.unique(names):
        logs[names == label] -= logs[names == label].mean(0)
    design = logs[:, regulators]
    return np.linalg.solve(design.T @ design + PENALTY * np.eye(len(regulators)), design.T @ logs)


def _cosines(model: CellModel, regulators: np.ndarray) -> np.ndarray:
    """float32[R, G]: the cosine of each regulator's embedding and every gene's: how networks are often read out."""
    embedded_GD = model.gene.weight[: model.genes].detach().float()
    unit_GD = torch.nn.functional.normalize(embedded_GD, dim=1).cpu().numpy()
    return unit_GD[regulators] @ unit_GD.T


def _pearson(said_PG: np.ndarray, true_PG: np.ndarray) -> np.ndarray:
    said, true = said_PG - said_PG.mean(1, keepdims=True), true_PG - true_PG.mean(1, keepdims=True)
    return (said * true).sum(1) / (np.sqrt(np.square(said).sum(1) * np.square(true).sum(1)) + 1e-12)


def _correlation(logs_MG: np.ndarray, regulators: np.ndarray) -> np.ndarray:
    centred = logs_MG - logs_MG.mean(0)
    scaled = centred / (np.sqrt(np.square(centred).sum(0)) + 1e-9)
    return np.abs(scaled[:, regulators].T @ scaled)
