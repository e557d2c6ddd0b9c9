"""Whatever stands for a cell when embeddings are judged: the model's, those of the same model untrained, components and
genes. Shapes: N cells, G genes of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from assets_data.domains.cells.read import Vocabulary
from training.recipes.cell_mlm.batches import show
from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.gene_baselines import rank_matrix
from training.recipes.cell_mlm.held_out import BATCH
from training.recipes.cell_mlm.model import CellModel
from training.recipes.cell_mlm.probe import principal_components
from training.recipes.cell_mlm.tokens import Ranked, preprocessing, tokenize

MOST_VARIABLE = 50
PICTURED = {"model": "the model's embeddings", "pca20_values": "the logarithms of their counts"}


def contestants(
    model: CellModel, data: CellData, config: CellMlmConfig, splits: list[tuple[Split, np.ndarray]]
) -> dict[str, list[np.ndarray]]:
    """Train, validation and test cells as each contestant sees them."""
    untrained = untrained_like(model, config, data)
    logs = [np.log2(split.cells.totals[chosen])[:, None].astype(np.float32) for split, chosen in splits]
    ranks = [_rank_features(split, chosen) for split, chosen in splits]
    values = [_value_features(split, chosen) for split, chosen in splits]
    return {
        "model": [embeddings(model, split, config, chosen) for split, chosen in splits],
        "untrained": [embeddings(untrained, split, config, chosen) for split, chosen in splits],
        "total": logs,
        "pca50_ranks": principal_components(ranks[0], ranks[1:], 50),
        "pca20_values": principal_components(values[0], values[1:], 20),
        "variable_genes": [part[:, most_variable(values[0], MOST_VARIABLE)] for part in values],
        "all_genes": values,
    }


def most_variable(values_NG: np.ndarray, number: int) -> np.ndarray:
    """int64[number]: genes of the largest variance over mean of count / total, by which most pipelines choose."""
    scaled_NG = np.expm1(values_NG.astype(np.float64))
    over_mean_G = scaled_NG.var(0) / np.maximum(scaled_NG.mean(0), 1e-9)
    return np.argsort(-over_mean_G, kind="stable")[:number]


def pictured(data: CellData, rows: np.ndarray, contestants: Mapping[str, list[np.ndarray]]) -> list[dict[str, Any]]:
    """A row per test cell: label, batch, and its place on the first two components of each embedding."""
    places = {
        says: principal_components(contestants[name][0], contestants[name][1:], 2)[2].round(4).tolist()
        for name, says in PICTURED.items()
    }
    about = [{name: data.test.cells.table[name][int(r)].as_py() for name in ("label", "batch")} for r in rows]
    return [{**cell, **{says: xy[n] for says, xy in places.items()}} for n, cell in enumerate(about)]


def untrained_like(model: CellModel, config: CellMlmConfig, data: CellData) -> CellModel:
    """The same model before its first update would have been made: another seed, the same start at the marginals."""
    from training.recipes.cell_mlm.recipe import model_inputs

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.gate.seed + 1)
        fresh = type(model)(config, model_inputs(data, config))
    return fresh.to(next(model.parameters()).device).eval()


def _rank_features(split: Split, rows: np.ndarray) -> np.ndarray:
    """float32[n, G]: 1 for the first rank, falling to 0 with its logarithm; 0 for a gene without a count."""
    ranks = rank_matrix(split, rows)
    most = np.log(1 + max(2, ranks.max(initial=0) + 1))
    return np.where(ranks >= 0, 1 - np.log1p(np.maximum(ranks, 0)) / most, 0).astype(np.float32)


def _value_features(split: Split, rows: np.ndarray) -> np.ndarray:
    """float32[n, G]: log1p(1e4 count / total)."""
    lengths, genes, counts = split.cells.rows.take(rows)
    row = np.repeat(np.arange(len(rows)), lengths)
    values = np.zeros((len(rows), len(split.vocabulary.keys)), np.float32)
    values[row, genes] = np.log1p(1e4 * counts / split.cells.totals[rows][row])
    return values


def embeddings(model: CellModel, split: Split, config: CellMlmConfig, rows: np.ndarray) -> np.ndarray:
    """float32[n, D] of some cells of a split."""
    return embed_rows(model, split.cells, split.vocabulary, config, rows)


def embed_rows(
    model: CellModel, cells: Ranked, vocabulary: Vocabulary, config: CellMlmConfig, rows: np.ndarray
) -> np.ndarray:
    """float32[n, D], nothing hidden and no gene without a count shown."""
    device, found = next(model.parameters()).device, [np.empty((0, config.model.width), np.float32)]
    prepared = preprocessing(config.tokens, vocabulary.document)
    settings = replace(config.tokens, selection="all", selected=0)
    with torch.no_grad():
        for begin in range(0, len(rows), BATCH):
            part = rows[begin : begin + BATCH]
            tokens = tokenize(cells, part, np.zeros(len(part), np.int64), vocabulary, settings, 0)
            batch = {name: value.to(device) for name, value in show(tokens, prepared).items()}
            found.append(model.embedding(batch).float().cpu().numpy())
    return np.concatenate(found)
