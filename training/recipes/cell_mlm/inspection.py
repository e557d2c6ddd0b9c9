"""What is found out before the first update: issues with the data, which cells are judged, and their baselines.

The baselines' scores on the judged cells are part of the preflight report, so they are fixed, and hashed, before there
is a model.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from training.findings import Findings, Issue
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData
from training.recipes.cell_mlm.held_out import chosen_rows
from training.recipes.cell_mlm.judged import baselines

CELLS, BASELINES = "cells.arrow", "baselines.arrow"


def inspect(data: CellData, config: CellMlmConfig) -> Findings:
    """All issues at once, and what the gate will use."""
    gate = config.gate
    rows = chosen_rows(data.test, gate.cells, gate.seed)
    keys = data.test.row_keys[rows]
    tables = {CELLS: pa.table({"row_key": keys, "record_id": [data.test.cells.names("record_id")[r] for r in rows]})}
    if config.gate.prediction and len(rows):
        tables[BASELINES] = baselines(data, config, rows)
    thresholds = {
        "over_frequency": gate.over_frequency,
        "over_knn": gate.over_knn,
        "over_gene_mean": gate.over_knn,
        "over_untrained": gate.over_untrained,
        "over_perturbation_r": 0.0,
        "over_perturbation_mse": 0.0,
        "over_network_ap": gate.over_base,
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
