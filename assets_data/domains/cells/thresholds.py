"""Counts from integers: thresholds of negative binomial distributions, the same on every machine.

A count is drawn by comparing 53 random bits with the distribution's cumulative sums. The sums are worked out in decimal
arithmetic with 60 digits, whose every operation is defined exactly, and never in floating point, whose exponentials
differ between C libraries.
"""

from __future__ import annotations

import functools
from decimal import ROUND_FLOOR, Context, Decimal

import numpy as np

LOW, HIGH = -40, 63
"""Rates are 2^(i / 8) for i from LOW to HIGH: 0.03 to 235 counts."""
SIZE = 4
"""Of the negative binomial: variance = mean + mean^2 / 4."""
BITS = 53


@functools.cache
def table() -> tuple[np.ndarray, np.ndarray]:
    """``(thresholds, begins)``: uint64 ascending, each rate's number in the bits above its 53; where a rate begins."""
    rows = [_cumulative(index) for index in range(LOW, HIGH + 1)]
    begins = np.cumsum([0, *map(len, rows)])[:-1]
    shifted = [np.array(row, np.uint64) + np.uint64(rate << BITS) for rate, row in enumerate(rows)]
    return np.concatenate(shifted), begins


def draw_counts(index: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Counts of the shape of ``index`` (int, eighths of log2 of the rate, clipped) from uint64 random ``bits``."""
    thresholds, begins = table()
    rate = np.clip(index, LOW, HIGH) - LOW
    asked = (rate.astype(np.uint64) << np.uint64(BITS)) | (bits >> np.uint64(64 - BITS))
    return np.searchsorted(thresholds, asked, side="right") - begins[rate]


def _cumulative(index: int) -> list[int]:
    """floor(2^53 P(count <= k)) for k = 0, 1, ... until no larger value has a bit of its own."""
    exact = Context(prec=60, rounding=ROUND_FLOOR)
    root = Decimal(2)
    for _ in range(3):
        root = root.sqrt(exact)
    rate = exact.power(root, index)
    chance = exact.divide(SIZE, exact.add(SIZE, rate))
    rest = exact.subtract(1, chance)
    mass = exact.power(chance, SIZE)  # P(0)
    total, count, found = Decimal(0), 0, list[int]()
    while True:
        total = exact.add(total, mass)
        found.append(int(exact.multiply(total, 1 << BITS)))
        if found[-1] >= (1 << BITS) - 1:
            return found
        mass = exact.divide(exact.multiply(exact.multiply(mass, rest), SIZE + count), count + 1)
        count += 1
        if mass < Decimal(2) ** -(BITS + 8):
            return found
