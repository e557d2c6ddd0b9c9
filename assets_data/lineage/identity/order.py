"""Keyed randomness: every random number is a pure function of (seed, stream name, index). Nothing is stored to resume.

``mix64`` is the SplitMix64 finaliser (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators")
applied to the index and a 64-bit key hashed from (seed, stream). It is statistics-grade, not a secret.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def stream_key(seed: int, stream: str) -> np.uint64:
    """The 64-bit key of a stream: SHA-256 over the signed seed (16 bytes) and the stream's name."""
    data = seed.to_bytes(16, "big", signed=True) + stream.encode()
    return np.uint64(struct.unpack(">Q", hashlib.sha256(data).digest()[:8])[0])


def mix64(seed: int, stream: str, index: np.ndarray) -> np.ndarray:
    """uint64[n] of mixed bits, one per uint64 index. For one (seed, stream) this is a bijection of the index."""
    z = np.asarray(index, np.uint64) ^ stream_key(seed, stream)
    with np.errstate(over="ignore"):
        z += _GAMMA
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def uniform01(seed: int, stream: str, index: np.ndarray) -> np.ndarray:
    """float64[n] in [0, 1), from the top 53 bits of :func:`mix64`."""
    return (mix64(seed, stream, index) >> np.uint64(11)) * 2.0**-53


def keyed_generator(seed: int, stream: str, index: int) -> np.random.Generator:
    """Philox keyed by (seed, stream, index), for draws whose number nobody knows and for numpy's distributions."""
    key = np.array([stream_key(seed, stream), np.uint64(index)], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def keyed_order(seed: int, epoch: int, row_keys: np.ndarray) -> np.ndarray:
    """int64[n]: the rows of one epoch in training order, sorted by the mix of (seed, epoch, row_key).

    A row's rank depends on its own key only, so taking a row out leaves the rest in the same relative order.
    Equal keys (identical rows) keep their stored order.
    """
    mixed = mix64(seed, epoch_stream(epoch), row_keys)
    order = np.argsort(mixed)  # a fifth of a stable sort's cost, and the same order where no two keys are equal
    ranked = mixed[order]
    return np.argsort(mixed, kind="stable") if np.any(ranked[1:] == ranked[:-1]) else order


def epoch_stream(epoch: int) -> str:
    """The stream whose :func:`mix64` orders the rows of an epoch."""
    return f"order/{epoch}"
