"""A hidden gene from the genes that rank just before and after it: what the order of ranks gives away by itself.

Genes counted equally often rank by their medians, so between two genes in sight only those of a median in between fit.
This baseline knows which genes follow which in training cells, and nothing of the cell: what a model gains over it is
not the order of the medians. A model that is told ranks in buckets does not see which gene is next to which, and is
not compared with it. Shapes: K targets, G genes.
"""

from __future__ import annotations

import numpy as np

WINDOW = 8
"""Ranks within which two genes are neighbours."""
SHRUNK = 2.0
"""So many pairs, spread as genes are, are added to those counted: two genes never seen together are not impossible."""


def pair_shares(ranks_NG: np.ndarray) -> np.ndarray:
    """float32[G + 1, G]: how much more often than by chance a gene comes within WINDOW ranks after another.

    Row G is of no gene: 1 everywhere.
    """
    genes = ranks_NG.shape[1]
    counts = np.zeros(genes * genes)
    single = (ranks_NG >= 0).sum(0) + 0.5
    for ranks_G in ranks_NG:
        order = np.argsort(np.where(ranks_G >= 0, ranks_G, genes), kind="stable")[: int((ranks_G >= 0).sum())]
        for apart in range(1, min(WINDOW, len(order) - 1) + 1):
            np.add.at(counts, order[:-apart] * genes + order[apart:], 1)
    pairs = counts.reshape(genes, genes)
    chance = single / single.sum()
    expected = pairs.sum(1, keepdims=True) * chance
    return np.vstack([(pairs + SHRUNK * chance) / (expected + SHRUNK * chance), np.ones(genes)]).astype(np.float32)


def adjacent_weights(
    before_K: np.ndarray, after_K: np.ndarray, likely_KG: np.ndarray, pairs: np.ndarray, power: float
) -> np.ndarray:
    """float64[K, G]: the frequency at the rank, times how a gene goes with the one before and the one after (-1: none).

    ``power`` tempers the two ratios, which are not independent.
    """
    after_the_one = pairs[before_K]
    before_the_other = np.vstack([pairs[:-1].T, np.ones(pairs.shape[1])])[after_K]
    return likely_KG * np.power(np.maximum(after_the_one * before_the_other, 1e-6), power)
