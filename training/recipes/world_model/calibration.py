"""How well a probability of going on says when episodes end: Brier skill and expected calibration error."""

from __future__ import annotations

import numpy as np

BINS = 10


def brier_sums(said: np.ndarray, went_on: np.ndarray, base_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors of the probability and of the base rate, both [n]."""
    return np.square(said - went_on), np.square(base_rate - went_on)


def calibration_error(said: np.ndarray, went_on: np.ndarray) -> float:
    """Expected calibration error over ten equal-width bins (Naeini et al. 2015)."""
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    gaps = np.abs(np.bincount(place, said, BINS) - np.bincount(place, went_on, BINS))
    return float(gaps.sum() / max(1, counts.sum()))
