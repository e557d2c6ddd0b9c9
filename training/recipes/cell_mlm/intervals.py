"""Bootstrap intervals over donors where there are eight or more, else over cells. Draws are keyed."""

from __future__ import annotations

import numpy as np

from training.resampling import draw_units, interval95

LEAST_DONORS = 8


def units(groups: list[str]) -> tuple[np.ndarray, str]:
    """``(int64[n], "donors" or "cells")``: what each cell is resampled with."""
    names, number = np.unique(np.array(groups, "U"), return_inverse=True)
    return (number, "donors") if len(names) >= LEAST_DONORS else (np.arange(len(groups)), "cells")


def interval(values: np.ndarray, unit: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """95% percentile interval of the mean of ``values``, whole units drawn with replacement."""
    if not len(values):
        return float("nan"), float("nan")
    names, place = np.unique(unit, return_inverse=True)
    sums, sizes = np.bincount(place, values), np.bincount(place)
    drawn = draw_units(len(names), resamples, seed, "cells/bootstrap")
    return interval95(sums[drawn].sum(1) / sizes[drawn].sum(1))
