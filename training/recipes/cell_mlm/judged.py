"""What is asked of the judged cells, target by target in the model's order, and how each baseline does there.

Baselines by what is predicted: hidden names have the frequency at the rank, like cells and adjacent ranks; counts have
marginals by gene, total and label, a negative binomial with exposure, and like cells; next genes the frequency; squared
errors the gene's mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.gene_baselines import baseline_scores, frequency_nats, hidden_of
from training.recipes.cell_mlm.held_out import BATCH, chosen_rows, held_out_batches
from training.recipes.cell_mlm.value_baselines import Asked, value_scores

WATCHED = 100
"""Validation cells on which the settings of the baselines are chosen."""


def baselines(data: CellData, config: CellMlmConfig, rows: np.ndarray) -> pa.Table:
    """A row per target: ``row_key``, ``gene``, and each baseline's loss there; of names also its place (``_place``)."""
    batches = _numpy(data.test, config, rows)
    begins = range(0, len(rows), BATCH)
    if config.model.family == "autoregressive":
        cell = np.concatenate([np.nonzero(b["valid"])[0] + begin for b, begin in zip(batches, begins, strict=True)])
        gene = np.concatenate([b["genes"][b["valid"]] for b in batches])
        found = {
            "frequency": np.concatenate([frequency_nats(data, b["order"], b["genes"], b["valid"]) for b in batches])
        }
    else:
        cell = np.concatenate([b["cell"] + begin for b, begin in zip(batches, begins, strict=True)])
        gene = np.concatenate([b["answer"] for b in batches])
        found = _hidden(data, config, rows, batches, cell)
    columns = {"row_key": data.test.row_keys[rows][cell], "gene": gene.astype(np.uint32)}
    return pa.table({**columns, **found})


def _hidden(
    data: CellData, config: CellMlmConfig, rows: np.ndarray, batches: list[Mapping[str, np.ndarray]], cell: np.ndarray
) -> dict[str, np.ndarray]:
    if config.model.family == "encoder" and config.objective.task == "genes":
        watched_rows = chosen_rows(data.validation, min(WATCHED, config.gate.cells), config.gate.seed)
        watched = _numpy(data.validation, config, watched_rows)
        scores = baseline_scores(
            data, hidden_of(batches), hidden_of(watched), config.gate.neighbours, config.tokens.ranks == "exact"
        )
        nats = {name: score[:, 0] for name, score in scores.items()}
        return nats | {f"{name}_place": score[:, 1].astype(np.int64) for name, score in scores.items()}
    together = {
        name: np.concatenate([b[name] for b in batches])
        for name in ("answer", "answer_count", "answer_bin", "answer_value")
    }
    if config.model.family == "mae" or config.objective.value_loss == "mse":
        return {"gene_mean": np.square(together["answer_value"] - _gene_means(data, config)[together["answer"]])}
    asked = Asked(
        cell_K=rows[cell], gene_K=together["answer"], count_K=together["answer_count"], bin_K=together["answer_bin"]
    )
    visible = _visible(batches, len(data.vocabulary.keys))
    return value_scores(data, data.test, config, asked, visible, rows, config.gate.neighbours)


def _visible(batches: list[Mapping[str, np.ndarray]], genes: int) -> np.ndarray:
    """float32[n, G]: the values in sight; NaN where hidden, or not among a cell's tokens."""
    parts = []
    for batch in batches:
        seen_BT = batch["valid"] & ~batch["masked"]
        row, column = np.nonzero(seen_BT)
        visible_BG = np.full((len(seen_BT), genes), np.nan, np.float32)
        visible_BG[row, batch["genes"][row, column]] = batch["values"][row, column]
        parts.append(visible_BG)
    return np.concatenate(parts)


def _gene_means(data: CellData, config: CellMlmConfig) -> np.ndarray:
    from training.recipes.cell_mlm.marginals import marginals
    from training.recipes.cell_mlm.tokens import preprocessing

    return np.array(marginals(data, config, preprocessing(config.tokens, data.vocabulary.document))["value_mean"])


def _numpy(split: Split, config: CellMlmConfig, rows: np.ndarray) -> list[Mapping[str, Any]]:
    return [{k: v.numpy() for k, v in batch.items()} for batch in held_out_batches(split, config, rows)]
