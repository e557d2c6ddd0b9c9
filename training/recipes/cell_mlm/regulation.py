"""Perturbations and the regulatory network: what a model of values says when a regulator is set low, or high.

A hidden target's expected count is asked for with the regulator set to 0 and to its 95th percentile, everything else
as it was counted in control cells; every target is hidden once in ``PASSES`` passes. ``perturbations`` judges this on
knock-downs that no training cell has, ``network`` on the edges of a simulation. Without perturbed cells or edges there
is nothing to judge: undetermined. Shapes: n cells, G genes, R regulators.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from training.findings import Evaluation, Measurement
from training.recipes.cell_mlm.batches import show
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.model import PREFIX, CellModel
from training.recipes.cell_mlm.network import judge_network
from training.recipes.cell_mlm.perturbations import JUDGED, judge_perturbations
from training.recipes.cell_mlm.regulators import Known, know
from training.recipes.cell_mlm.tokens import Tokens, preprocessing
from training.recipes.cell_mlm.value_baselines import dense

PASSES = 4
CELLS = 24


def regulation(model: CellModel, data: CellData, config: CellMlmConfig, registered: Mapping[str, Any]) -> Evaluation:
    """Both assessments, for a model of values on cells with a truth; what is undetermined is said."""
    truth = next((layout["truth"] for layout in data.layouts.values() if layout.get("truth")), None)
    if truth is None or config.model.family != "encoder" or config.objective.task != "values":
        return _undetermined(config)
    known = know(data, truth["regulators"])
    before_G, low_RG, high_RG = _expectations(model, config, data, known)
    parts = []
    if config.gate.perturbation:
        parts.append(judge_perturbations(data, known, low_RG - before_G, registered))
    if config.gate.network:
        said = {"model": np.abs(high_RG - low_RG), "embedding_cosine": _cosines(model, known.regulators)}
        parts.append(judge_network(truth, known, said))
    return Evaluation.joined(parts)


def _undetermined(config: CellMlmConfig) -> Evaluation:
    names = [*(JUDGED if config.gate.perturbation else ()), *(("network_ap",) if config.gate.network else ())]
    line = "  perturbation, network: undetermined, there is no truth or the model gives no counts"
    none = [Measurement.undetermined(name, f"over_{name}") for name in names]
    return Evaluation(measurements=none, summary=[line] if names else [])


def _expectations(
    model: CellModel, config: CellMlmConfig, data: CellData, known: Known
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(float32[G], float32[R, G], float32[R, G])``: what the model expects on average in control cells as they were
    counted, with each regulator set to 0, and with each set high.
    """
    control = _controls(data.test)
    counts_NG, _ = dense(data.test, control)
    totals_N = data.test.cells.totals[control]

    def with_regulator(regulator: int, count: int) -> np.ndarray:
        changed_NG = counts_NG.copy()
        changed_NG[:, regulator] = count
        return expected_logs(model, config, data, changed_NG, totals_N).mean(0)

    before_G = expected_logs(model, config, data, counts_NG, totals_N).mean(0)
    low_RG = np.stack([with_regulator(regulator, 0) for regulator in known.regulators])
    pairs = zip(known.regulators, known.high_R, strict=True)
    return before_G, low_RG, np.stack([with_regulator(regulator, high) for regulator, high in pairs])


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


def _cosines(model: CellModel, regulators: np.ndarray) -> np.ndarray:
    """float32[R, G]: the cosine of each regulator's embedding and every gene's: how networks are often read out."""
    embedded_GD = model.gene.weight[: model.genes].detach().float()
    unit_GD = torch.nn.functional.normalize(embedded_GD, dim=1).cpu().numpy()
    return unit_GD[regulators] @ unit_GD.T
