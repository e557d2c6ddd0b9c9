"""The registered evaluation: the model beside its baselines, with intervals. What is not beaten is reported as such."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from assets_data.documents import read_registration
from assets_data.lineage import Snapshot
from training.findings import Evaluation, Measurement
from training.recipes.cell_mlm.cell_types import judge_cell_types
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.held_out import held_out_batches
from training.recipes.cell_mlm.inspection import BASELINES, CELLS
from training.recipes.cell_mlm.intervals import interval, units
from training.recipes.cell_mlm.losses import target_losses
from training.recipes.cell_mlm.model import CellModel
from training.recipes.cell_mlm.regulation import regulation
from training.registered import registered_rows


def evaluate(model: CellModel, data: CellData, config: CellMlmConfig, preflight: Snapshot) -> Evaluation:
    """Held-out prediction, cell types and regulation, as far as the config asks for them."""
    registered = read_registration(preflight)["evaluation"]
    rows = registered_rows(data.test.row_keys, preflight.table(CELLS)["row_key"].to_numpy(), preflight)
    parts = []
    if config.gate.prediction:
        ours_K = _prediction_loss(model, data, config, rows)
        parts.append(_judge_prediction(ours_K, data, preflight.table(BASELINES), registered))
    if config.gate.probe:
        parts.append(judge_cell_types(model, data, config, rows, registered))
    if config.gate.perturbation or config.gate.network:
        parts.append(regulation(model, data, config, registered))
    return Evaluation.joined(parts)


def model_nats(model: CellModel, split: Split, config: CellMlmConfig, rows: np.ndarray) -> dict[str, np.ndarray]:
    """float64[K] per part of the loss, over the targets of some held-out cells."""
    device, parts = next(model.parameters()).device, list[dict[str, np.ndarray]]()
    with torch.no_grad():
        for batch in held_out_batches(split, config, rows):
            moved = {name: value.to(device) for name, value in batch.items()}
            losses = target_losses(model, config, moved)
            parts.append({name: value.double().cpu().numpy() for name, value in losses.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _prediction_loss(model: CellModel, data: CellData, config: CellMlmConfig, rows: np.ndarray) -> np.ndarray:
    """float64[K]: the part of the loss that the baselines have as well."""
    nats = model_nats(model, data.test, config, rows)
    return nats.get("gene_nats", nats.get("bin_nats", nats["loss"]))


def _judge_prediction(
    ours_K: np.ndarray, data: CellData, baselines: pa.Table, registered: Mapping[str, Any]
) -> Evaluation:
    """Nats below each baseline, paired target by target; judged by the interval's lower bound."""
    place = {key: number for number, key in enumerate(data.test.row_keys.tolist())}
    cell_K = np.array([place[key] for key in baselines["row_key"].to_pylist()])
    unit, of = units(data.test.cells.names("group_id"))
    line = f"  hidden: {len(ours_K)}, model {ours_K.mean():.3f} nats"
    parts = [Evaluation(scalars={"nats": float(ours_K.mean())}, summary=[line])]
    for name in [name for name in baselines.column_names[2:] if not name.endswith("_place")]:
        theirs_K = baselines[name].to_numpy()
        if not np.isnan(theirs_K).all():
            bounds = interval(theirs_K - ours_K, unit[cell_K], registered["resamples"], registered["seed"])
            parts.append(_beside(name, theirs_K, ours_K, bounds, of, registered["thresholds"]))
    return Evaluation.joined(parts)


def _beside(
    name: str,
    theirs_K: np.ndarray,
    ours_K: np.ndarray,
    bounds: tuple[float, float],
    of: str,
    thresholds: Container[str],
) -> Evaluation:
    """The gain over one baseline, within ``bounds`` over ``of`` (donors or cells); judged if it has a threshold."""
    gain = float((theirs_K - ours_K).mean())
    word = "beaten" if bounds[0] > 0 else "not beaten" if bounds[1] > 0 else "ahead"
    within = f"[{bounds[0]:+.3f}, {bounds[1]:+.3f}] over {of}"
    judged = Measurement.lower_bound(f"nats_over_{name}", f"over_{name}", bounds, len(ours_K))
    return Evaluation(
        measurements=[judged] if judged.threshold in thresholds else [],
        scalars={f"nats_{name}": float(theirs_K.mean()), f"gain_{name}": gain},
        summary=[f"  {name} {theirs_K.mean():.3f} nats: gain {gain:+.3f} {within}, {word}"],
    )
