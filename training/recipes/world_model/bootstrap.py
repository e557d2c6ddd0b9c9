"""Intervals by episode: whole episodes are drawn again, as steps of one episode are not independent."""

from __future__ import annotations

import numpy as np

from assets_data.lineage import uniform01
from training.resampling import interval95


def draws(units: int, resamples: int, seed: int, stream: str) -> np.ndarray:
    """int64[resamples, units]: which units each bootstrap sample holds; keyed, so it is the same everywhere."""
    index = np.arange(resamples * units, dtype=np.uint64)
    return (uniform01(seed, f"bootstrap/{stream}", index) * units).astype(np.int64).reshape(resamples, units)


def skill(model_E: np.ndarray, base_E: np.ndarray, drawn: np.ndarray) -> tuple[float, tuple[float, float]]:
    """``(1 - SSE / SSE of the baseline, its 95% interval)`` from squared errors summed per episode."""
    if not len(model_E) or base_E.sum() <= 0:
        return float("nan"), (float("nan"), float("nan"))
    resampled = 1.0 - model_E[drawn].sum(axis=1) / np.maximum(base_E[drawn].sum(axis=1), 1e-300)
    return float(1.0 - model_E.sum() / base_E.sum()), interval95(resampled)


def normalised_score(
    ours: np.ndarray, random: np.ndarray, reference: np.ndarray, drawn: np.ndarray
) -> tuple[float, tuple[float, float]]:
    """``(G - G_random) / (G_reference - G_random)`` of paired returns [starts], and its 95% interval by start."""
    span = np.maximum((reference - random)[drawn].mean(axis=1), 1e-12)
    resampled = (ours - random)[drawn].mean(axis=1) / span
    return float((ours - random).mean() / max((reference - random).mean(), 1e-12)), interval95(resampled)


def by_episode(values_N: np.ndarray, episode_N: np.ndarray, episodes: int) -> np.ndarray:
    """float64[episodes]: sums of what belongs to each episode."""
    return np.bincount(episode_N, weights=values_N, minlength=episodes)
