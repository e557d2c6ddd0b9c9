"""Intervals over places that lie close together: whole blocks are drawn, not single ones. Keyed, so always the same."""

from __future__ import annotations

import numpy as np

from training.resampling import draw_units


def block_weights(blocks: np.ndarray, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``(which int64[N], weights float64[resamples, M])``: each place's block; how often a sample draws each block."""
    _, which = np.unique(blocks, return_inverse=True)
    count = int(which.max()) + 1 if len(which) else 0
    picked = draw_units(count, resamples, seed, "bootstrap")
    weights = np.zeros((resamples, count))
    np.add.at(weights, (np.arange(resamples)[:, None], picked), 1.0)
    return which, weights


def block_sums(values: np.ndarray, blocks: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """float64[resamples, ...]: the sum of ``values`` (float[N, ...]) over each sample's places."""
    which, weights = block_weights(blocks, resamples, seed)
    sums = np.zeros((weights.shape[1], *values.shape[1:]))
    np.add.at(sums, which, values)
    return np.tensordot(weights, sums, 1)


def block_means(values: np.ndarray, blocks: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """float64[resamples]: the mean of ``values`` (float[N]) over each sample's places."""
    both = block_sums(np.stack([values, np.ones(len(values))], 1), blocks, resamples, seed)
    return both[:, 0] / both[:, 1]
