"""What is found out before the first update: issues with the data, which cells are judged, and their baselines.

The baselines' scores on the judged cells are part of the preflight report, so they are fixed, and hashed, before there
is a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.lineage import GateError
from training.findings import Findings, Issue
from training.recipes.cell_mlm.batches import make_batch
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.gene_baselines import baseline_scores, hidden_of
from training.recipes.cell_mlm.tokens import uniform_cells

CELLS, BASELINES = "cells.arrow", "baselines.arrow"
BATCH = 64


def inspect(data: CellData, config: CellMlmConfig) -> Findings:
    """All issues at once, and what the gate will use."""
    gate = config.gate
    rows = chosen_rows(data.test, gate.cells, gate.seed)
    keys = data.test.row_keys[rows]
    tables = {CELLS: pa.table({"row_key": keys, "record_id": [data.test.cells.names("record_id")[r] for r in rows]})}
    if config.gate.prediction and len(rows):
        tables[BASELINES] = _baselines(data, config, rows)
    thresholds = {
        "over_frequency": gate.over_frequency,
        "over_knn": gate.over_knn,
        "over_untrained": gate.over_untrained,
    }
    splits = {"train": data, "validation": data.validation, "test": data.test}
    dataset = {
        "rows": {name: len(split.row_keys) for name, split in splits.items()},
        "donors": {name: len(set(split.cells.names("group_id"))) for name, split in splits.items()},
        "genes": len(data.vocabulary.names),
        "labels": len(data.vocabulary.document["labels"]),
    }
    evaluation = {"seed": gate.seed, "resamples": gate.resamples, "cells": len(rows), "neighbours": gate.neighbours}
    return Findings(
        issues=list(_issues(data, config)), dataset=dataset, thresholds=thresholds, evaluation=evaluation, tables=tables
    )


def chosen_rows(split: Split, most: int, seed: int) -> np.ndarray:
    """int64[n], ascending: a keyed draw of cells, of which a withdrawn one changes no other."""
    drawn = np.argsort(uniform_cells(seed, split.row_keys), kind="stable")
    return np.sort(drawn[:most])


def registered_rows(split: Split, keys: np.ndarray) -> np.ndarray:
    """The rows of registered keys. Raises GateError GATE_OTHER_ROWS where one is not there any more."""
    place = {key: row for row, key in enumerate(split.row_keys.tolist())}
    if missing := [key for key in keys.tolist() if key not in place]:
        what = f"{len(missing)} registered cells are not in the test split"
        raise GateError("GATE_OTHER_ROWS", what, action="run the preflight again, and train under it")
    return np.array([place[key] for key in keys.tolist()], np.int64)


def held_out_batches(split: Split, config: CellMlmConfig, rows: np.ndarray) -> Iterator[dict[str, Any]]:
    """Batches of held-out cells in the order of ``rows``; always of epoch 0."""
    for begin in range(0, len(rows), BATCH):
        part = rows[begin : begin + BATCH]
        yield make_batch(split.cells, split.vocabulary, config, part, np.zeros(len(part), np.int64), True)


def _baselines(data: CellData, config: CellMlmConfig, rows: np.ndarray) -> pa.Table:
    """A row per target, in the order in which the model is asked: whose it is, and the baselines' scores."""
    asked = _numpy(data.test, config, rows)
    cell = np.concatenate([b["cell"] + begin for b, begin in zip(asked, range(0, len(rows), BATCH), strict=True)])
    columns: dict[str, Any] = {
        "row_key": data.test.row_keys[rows][cell],
        "gene": np.concatenate([b["answer"] for b in asked]).astype(np.uint32),
    }
    watched_rows = chosen_rows(data.validation, min(100, config.gate.cells), config.gate.seed)
    watched = _numpy(data.validation, config, watched_rows)
    scores = baseline_scores(data, hidden_of(asked), hidden_of(watched), config.gate.neighbours)
    for name, score in scores.items():
        columns |= {name: score[:, 0], f"{name}_place": score[:, 1].astype(np.int64)}
    return pa.table(columns)


def _numpy(split: Split, config: CellMlmConfig, rows: np.ndarray) -> list[Mapping[str, np.ndarray]]:
    return [{k: v.numpy() for k, v in batch.items()} for batch in held_out_batches(split, config, rows)]


def _issues(data: CellData, config: CellMlmConfig) -> Iterator[Issue]:
    if not len(data.test.row_keys):
        yield Issue.error("CELL_SPLIT", "dataset.test", "no test cells, so the gate has nothing to judge by")
    if data.tables and _by_cell(data):
        message = "cells of one donor are in training and in test: what is measured says nothing of new donors"
        yield Issue("CELL_SPLIT", "warning", "cells.split.by", message)
    if config.gate.probe and len(data.vocabulary.document["labels"]) < 2:
        yield Issue("CELL_LABELS", "warning", "dataset.labels", "cells have no labels: the probe is undetermined")


def _by_cell(data: CellData) -> bool:
    return any(layout["split_by"] == "cell" for layout in data.layouts.values())
