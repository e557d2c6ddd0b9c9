"""What frequencies alone say of a base: how often it stands between such neighbours. The gate's baselines.

P(base | l bases on its left, r on its right) from counts on the training windows, each plus a share of what the shorter
context says (interpolated smoothing: Jelinek & Mercer 1980, with counts as weights).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WEIGHT = 4.0
"""Observations that a shorter context counts for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Bases that are asked for: ``row`` and ``place`` int64[M] in ``codes`` (uint8[R, W])."""

    codes: np.ndarray
    row: np.ndarray
    place: np.ndarray

    @property
    def base(self) -> np.ndarray:
        """int64[M]: what they are."""
        return self.codes[self.row, self.place].astype(np.int64)

    def context(self, left: int, right: int) -> np.ndarray:
        """int64[M]: the neighbours as one number below 4 ** (left + right)."""
        number = np.zeros(len(self.row), np.int64)
        for step in (*range(-left, 0), *range(1, right + 1)):
            number = number * 4 + self.codes[self.row, self.place + step]
        return number


def every_base(codes: np.ndarray, reach: int) -> Asked:
    """Every base that has ``reach`` neighbours on each side."""
    rows, width = codes.shape
    row, place = np.divmod(np.arange(rows * (width - 2 * reach)), width - 2 * reach)
    return Asked(codes, row, place + reach)


def nll(train: Asked, asked: Asked, left: int, right: int) -> np.ndarray:
    """float64[M]: the surprise of each asked base, in nats, under counts of ``train``."""
    if left == right == 0:
        counts = np.bincount(train.base, minlength=4) + 1.0
        return -np.log(counts / counts.sum())[asked.base]
    shorter = (left - 1, right) if left >= right else (left, right - 1)
    below = np.exp(-nll(train, asked, *shorter))
    size = 4 ** (left + right)
    counts = np.bincount(train.context(left, right) * 4 + train.base, minlength=size * 4).reshape(size, 4)
    seen = counts[asked.context(left, right)]
    own = seen[np.arange(len(seen)), asked.base]
    return -np.log((own + WEIGHT * below) / (seen.sum(1) + WEIGHT))


def best_context(train: Asked, held_out: Asked, reach: int) -> tuple[int, int]:
    """The numbers of neighbours, up to ``reach`` on each side, whose counts say most of the held-out bases."""
    pairs = [(left, right) for left in range(reach + 1) for right in range(reach + 1)]
    return min(pairs, key=lambda pair: float(nll(train, held_out, *pair).mean()))
