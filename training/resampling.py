"""Bootstrap intervals (Efron 1979): keyed draws of whole units, and the interval of what the samples give."""

from __future__ import annotations

import numpy as np

from assets_data.lineage import mix64


def draw_units(count: int, resamples: int, seed: int, stream: str) -> np.ndarray:
    """int64[resamples, count]: which of ``count`` units each sample holds; the same on every machine."""
    index = np.arange(resamples * count, dtype=np.uint64)
    return (mix64(seed, stream, index) % np.uint64(max(count, 1))).astype(np.int64).reshape(resamples, count)


def interval95(samples: np.ndarray) -> tuple[float, float]:
    """The 95% percentile interval of float[resamples]."""
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)
