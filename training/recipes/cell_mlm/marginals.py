"""What is known of a gene before anything is learned of cells: its frequency, bins, mean and rate. Numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.recipes.cell_mlm.config import CellMlmConfig
from training.recipes.cell_mlm.data import CellData
from training.recipes.cell_mlm.tokens import Preprocessing, tokenize

MOST = 2000


def marginals(data: CellData, config: CellMlmConfig, prepared: Preprocessing) -> dict[str, Any]:
    """Lists by gene, rounded to 6 decimals: ``gene_log_share``, ``bin_log_share`` (a list per gene), ``value_mean`` and
    ``log_rate`` (counts per count of the cell), over the first training cells by key, as they are tokens in epoch 0.
    """
    rows = np.sort(np.argsort(data.row_keys, kind="stable")[:MOST])
    genes, bins = len(data.vocabulary.keys), prepared.number
    with_zeros = config.model.family == "mae" or (
        config.model.family == "encoder" and config.objective.task == "values"
    )
    number, binned, summed, counted, exposed = (
        np.full(genes, 0.5),
        np.full((genes, bins), 0.5),
        np.zeros(genes),
        np.full(genes, 0.5),
        np.full(genes, 1.0),
    )
    for part in np.array_split(rows, max(1, len(rows) // 256)):
        epochs = np.zeros(len(part), np.int64)
        tokens = tokenize(data.cells, part, epochs, data.vocabulary, config.tokens, config.train.seed, zeros=with_zeros)
        row, column = np.nonzero(tokens.valid_BT)
        gene, count, value = (a[row, column] for a in (tokens.genes_BT, tokens.counts_BT, tokens.values_BT))
        number += np.bincount(gene, minlength=genes)
        np.add.at(binned, (gene, prepared.bin(count, value)), 1)
        summed += np.bincount(gene, value, minlength=genes)
        counted += np.bincount(gene, count, minlength=genes)
        exposed += np.bincount(gene, tokens.totals_B[row], minlength=genes)
    lists = {
        "gene_log_share": np.log(number / number.sum()),
        "bin_log_share": np.log(binned / binned.sum(1, keepdims=True)),
        "value_mean": summed / number,
        "log_rate": np.log(counted / exposed),
    }
    return {name: np.round(values, 6).tolist() for name, values in lists.items()}
