"""The registered evaluation: per cell, right or wrong (or minus the squared error), beside majority (or the mean)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets_data.documents import read_registration
from assets_data.lineage import Snapshot
from training.findings import Evaluation, Findings, Issue, Measurement
from training.recipes.cell_finetune.config import FinetuneConfig
from training.recipes.cell_finetune.data import FinetuneData
from training.recipes.cell_mlm.intervals import interval, units
from training.recipes.cell_mlm.tokens import uniform_cells
from training.registered import registered_rows

TABLE, BATCH = "baseline.arrow", 64


def inspect(data: FinetuneData, config: FinetuneConfig) -> Findings:
    """The judged cells, and how the baseline does on each."""
    gate, test = config.gate, data.test
    rows = np.sort(np.argsort(uniform_cells(gate.seed, test.row_keys), kind="stable")[: gate.cells])
    targets = test.targets[rows]
    if config.head.kind == "class":
        majority = np.bincount(data.targets, minlength=1).argmax() if len(data.targets) else 0
        score = (targets == majority).astype(np.float64)
    else:
        score = -np.square(targets.astype(np.float64) - data.targets.mean(dtype=np.float64))
    columns = {"row_key": test.row_keys[rows], "score": score, "group": [_group(data, row) for row in rows]}
    issues = [] if len(rows) else [Issue.error("CELL_LABELS", "dataset.test", "no test cell has a target")]
    if config.head.kind == "class" and len(data.classes) < 2:
        issues.append(Issue.error("CELL_LABELS", "head.target", "there are not two classes"))
    counts = {"train": len(data.rows), "validation": len(data.validation.rows), "test": len(test.rows)}
    return Findings(
        issues=issues,
        dataset={"rows": counts, "classes": list(data.classes)},
        thresholds={"over_baseline": gate.over_baseline},
        evaluation={"seed": gate.seed, "resamples": gate.resamples, "cells": len(rows)},
        tables={TABLE: pa.table(columns)},
    )


def evaluate(model: object, data: FinetuneData, config: FinetuneConfig, preflight: Snapshot) -> Evaluation:
    """One measurement: the lower bound of the mean gain over the baseline."""
    import torch

    from training.recipes.cell_finetune.recipe import CellFinetune

    table = preflight.table(TABLE)
    rows = registered_rows(data.test.row_keys, table["row_key"].to_numpy(), preflight)
    device, said = next(model.parameters()).device, []  # type: ignore[attr-defined]
    with torch.no_grad():
        for begin in range(0, len(rows), BATCH):
            part = rows[begin : begin + BATCH]
            batch = CellFinetune().batch(data.test, config, part, np.zeros(len(part), np.int64))
            said.append(model({name: value.to(device) for name, value in batch.items()}).float().cpu().numpy())  # type: ignore[operator]
    predicted = np.concatenate(said)
    targets, baseline = data.test.targets[rows], table["score"].to_numpy()
    if config.head.kind == "class":
        score, name = (predicted.argmax(1) == targets).astype(np.float64), "accuracy"
    else:
        score, name = -np.square(predicted[:, 0].astype(np.float64) - targets), "minus_squared_error"
    registered = read_registration(preflight)["evaluation"]
    unit, of = units(table["group"].to_pylist())
    bounds = interval(score - baseline, unit, registered["resamples"], registered["seed"])
    gain = Measurement.lower_bound(f"{name}_over_baseline", "over_baseline", bounds, len(rows))
    line = f"  {name} {score.mean():.3f}, baseline {baseline.mean():.3f}: gain {(score - baseline).mean():+.3f}"
    return Evaluation(
        measurements=[gain],
        scalars={name: float(score.mean()), f"baseline_{name}": float(baseline.mean())},
        summary=[f"{line} [{bounds[0]:+.3f}, {bounds[1]:+.3f}] over {of}"],
    )


def _group(data: FinetuneData, row: int) -> str:
    return data.test.cells.table["group_id"][int(data.test.rows[row])].as_py()
