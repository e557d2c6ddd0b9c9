"""Windows that say nearly the same: by the 21-mers they share, on either strand."""

from __future__ import annotations

import numpy as np

from assets_data.domains.genome.read import N, reverse_complement

K = 21
"""Two bits a base: 42 of the 64 bits of a word."""
NEAR = 0.5
"""Share of a window's 21-mers from which on it is near the others."""


def near_rows(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool[R]: which of ``rows`` (uint8[R, W] codes) are near: at least half of their 21-mers are in ``others``, on one
    strand or the other.
    """
    return shared(rows, others) >= NEAR


def shared(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float[R]: the share of each row's 21-mers that are in ``others``, on one strand or the other. A 21-mer with an N
    is in nothing. Costs a sort of all 21-mers.
    """
    if not len(rows) or not len(others) or rows.shape[1] < K:
        return np.zeros(len(rows))
    known = np.unique(canonical_mers(others).ravel())
    found = canonical_mers(rows)
    there = np.isin(found, known[known != _NONE])
    return there.mean(1)


_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)


def canonical_mers(codes: np.ndarray) -> np.ndarray:
    """uint64[R, W - 20]: each 21-mer as a number, the smaller one of its two strands'; all ones with an N in it."""
    forward, backward = _mers(codes), _mers(reverse_complement(codes))[:, ::-1]
    return np.minimum(forward, backward)


def _mers(codes: np.ndarray) -> np.ndarray:
    width = codes.shape[1] - K + 1
    numbers = np.zeros((len(codes), width), np.uint64)
    unknown = np.zeros((len(codes), width), bool)
    for place in range(K):
        part = codes[:, place : place + width]
        numbers = numbers << np.uint64(2) | (part & 3).astype(np.uint64)
        unknown |= part >= N
    return np.where(unknown, _NONE, numbers)
