"""What hidden counts are predicted by without a model, in nats of the count's bin. All know the gene; most the total.

Each is fitted on training cells tokenised as the model's are, zeros drawn in the same share, so that what is judged is
what was fitted. Shapes: K targets, G genes, V bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData, Split
from training.recipes.cell_mlm.tokens import preprocessing, tokenize

MOST_TRAINING = 4000
SHRUNK = 4.0
"""Counts of a gene's marginal that are added to those of a part of the cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Targets: the cell (a row of the split), the gene, and what was counted."""

    cell_K: np.ndarray
    gene_K: np.ndarray
    count_K: np.ndarray
    bin_K: np.ndarray


def value_scores(
    data: CellData,
    split: Split,
    config: CellMlmConfig,
    asked: Asked,
    visible_NG: np.ndarray,
    rows: np.ndarray,
    neighbours: int,
) -> dict[str, np.ndarray]:
    """Name to float64[K] nats. ``visible_NG``: log1p values of what is in sight of ``rows``, NaN where hidden."""
    train = _training_targets(data, config)
    genes, bins = len(data.vocabulary.keys), int(max(train.bin_K.max(initial=0), asked.bin_K.max(initial=0))) + 1
    marginal_GV = _table(train.gene_K, train.bin_K, genes, bins) + 0.5
    marginal_GV /= marginal_GV.sum(1, keepdims=True)
    edges = np.quantile(data.cells.totals, [0.2, 0.4, 0.6, 0.8])
    labels = {label: place for place, label in enumerate(sorted(data.vocabulary.document["labels"]))}
    parts = {
        "by_total": (np.searchsorted(edges, data.cells.totals), np.searchsorted(edges, split.cells.totals)),
        "true_label": (_places(data, labels), _places(split, labels)),
    }
    found = {"marginal": _nats(marginal_GV[asked.gene_K], asked.bin_K)}
    for name, (of_training, of_split) in parts.items():
        number = int(max(of_training.max(initial=0), of_split.max(initial=0))) + 1
        table = _table(of_training[train.cell_K] * genes + train.gene_K, train.bin_K, number * genes, bins)
        table += SHRUNK * np.tile(marginal_GV, (number, 1))
        table /= table.sum(1, keepdims=True)
        found[name] = _nats(table[of_split[asked.cell_K] * genes + asked.gene_K], asked.bin_K)
    found["nb_exposure"] = _exposure(data, split, train, asked, genes, config)
    found["knn"] = _neighbours(data, config, asked, visible_NG, rows, marginal_GV, neighbours)
    return found


def _training_targets(data: CellData, config: CellMlmConfig) -> Asked:
    rows = np.sort(np.argsort(data.row_keys, kind="stable")[:MOST_TRAINING])
    prepared = preprocessing(config.tokens, data.vocabulary.document)
    parts = []
    for part in np.array_split(rows, max(1, len(rows) // 256)):
        epochs = np.zeros(len(part), np.int64)
        tokens = tokenize(data.cells, part, epochs, data.vocabulary, config.tokens, config.train.seed, zeros=True)
        row, column = np.nonzero(tokens.valid_BT)
        count, value = tokens.counts_BT[row, column], tokens.values_BT[row, column]
        parts.append((part[row], tokens.genes_BT[row, column], count, prepared.bin(count, value)))
    cell, gene, count, binned = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Asked(cell_K=cell, gene_K=gene, count_K=count, bin_K=binned)


def _exposure(
    data: CellData, split: Split, train: Asked, asked: Asked, genes: int, config: CellMlmConfig
) -> np.ndarray:
    """A negative binomial per gene: the mean is rate times total, the size from the variance about it."""
    import torch

    from training.recipes.cell_mlm.losses import count_log_bins

    total = data.cells.totals[train.cell_K].astype(np.float64)
    counted = np.bincount(train.gene_K, train.count_K, minlength=genes) + 0.5
    rate = counted / (np.bincount(train.gene_K, total, minlength=genes) + 1)
    mean = rate[train.gene_K] * total
    over = np.bincount(train.gene_K, np.square(train.count_K - mean) - mean, minlength=genes)
    square = np.bincount(train.gene_K, np.square(mean), minlength=genes)
    size = np.clip(square / np.maximum(over, 1e-9), 0.05, 1e3)
    if config.tokens.bins != "counts":  # quantile bins are no bins of counts
        return np.full(len(asked.gene_K), np.nan)
    log_mean = np.log(rate[asked.gene_K] * split.cells.totals[asked.cell_K])
    logs = count_log_bins(torch.from_numpy(log_mean), torch.from_numpy(np.log(size[asked.gene_K]))).numpy()
    return -logs[np.arange(len(logs)), np.minimum(asked.bin_K, logs.shape[1] - 1)]


def _neighbours(
    data: CellData,
    config: CellMlmConfig,
    asked: Asked,
    visible_NG: np.ndarray,
    rows: np.ndarray,
    marginal_GV: np.ndarray,
    neighbours: int,
) -> np.ndarray:
    """The bins that the gene has in the training cells most like what is in sight (cosine), beside its marginal."""
    chosen = np.sort(np.argsort(data.row_keys, kind="stable")[:MOST_TRAINING])
    counts_MG, values_MG = dense(data, chosen)
    prepared = preprocessing(config.tokens, data.vocabulary.document)
    shown_NG, known_NG = np.nan_to_num(visible_NG), ~np.isnan(visible_NG)
    norm_NM = np.sqrt(known_NG.astype(np.float32) @ np.square(values_MG).T) + 1e-6
    like_NM = shown_NG @ values_MG.T / norm_NM
    nearest_NJ = np.argsort(-like_NM, axis=1, kind="stable")[:, :neighbours]
    bins_MG = prepared.bin(counts_MG, values_MG).astype(np.int16)
    place = {int(row): number for number, row in enumerate(rows)}
    cell_K = np.array([place[int(row)] for row in asked.cell_K], np.int64)
    found_KJ = bins_MG[nearest_NJ[cell_K], asked.gene_K[:, None]]
    shares_KV = np.stack([(found_KJ == value).sum(1) for value in range(marginal_GV.shape[1])], 1).astype(np.float64)
    shares_KV = _as_drawn(shares_KV / found_KJ.shape[1], data, config, marginal_GV, asked)
    mixed_KV = 0.75 * shares_KV + 0.25 * marginal_GV[asked.gene_K]
    return _nats(mixed_KV / mixed_KV.sum(1, keepdims=True), asked.bin_K)


def _as_drawn(
    shares_KV: np.ndarray, data: CellData, config: CellMlmConfig, marginal_GV: np.ndarray, asked: Asked
) -> np.ndarray:
    """Zeros are drawn as tokens in one share of their number: the neighbours' zeros count for that share, too."""
    lengths, _, _ = data.cells.rows.take(np.arange(min(len(data.cells), 500)))
    expressed, zeros = lengths.mean(), len(data.vocabulary.keys) - lengths.mean()
    share = min(1.0, expressed * config.tokens.zeros / (1 - config.tokens.zeros) / max(1.0, zeros))
    weighed = shares_KV * np.where(np.arange(shares_KV.shape[1]) == 0, share, 1.0)
    return weighed / np.maximum(weighed.sum(1, keepdims=True), 1e-12)


def dense(split: Split, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(counts int64[n, G], log1p(1e4 count / total) float32[n, G])``."""
    lengths, genes, counts = split.cells.rows.take(rows)
    row = np.repeat(np.arange(len(rows)), lengths)
    counts_NG = np.zeros((len(rows), len(split.vocabulary.keys)), np.int64)
    counts_NG[row, genes] = counts
    return counts_NG, np.log1p(1e4 * counts_NG / split.cells.totals[rows][:, None]).astype(np.float32)


def _places(split: Split, labels: dict[str, int]) -> np.ndarray:
    return np.array([labels.get(label, len(labels)) for label in split.cells.names("label")], np.int64)


def _table(row: np.ndarray, column: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns).astype(np.float64)


def _nats(shares_KV: np.ndarray, bin_K: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(shares_KV[np.arange(len(bin_K)), bin_K], 1e-12))
