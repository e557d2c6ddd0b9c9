"""The chain of digests over every batch so far."""

from __future__ import annotations

import hashlib

import numpy as np

KEYS = np.dtype("<u8")
AT_ONCE = 64
"""Batches whose links are made together: one by one, between two updates, hashing takes twenty times as long, as by
then the model has displaced it from the processor's caches.
"""


class OrderDigest:
    """A chain of SHA-256 over the row keys of every batch so far: equal chains mean equal batches in equal order.

    ``h' = sha256(h || keys as little-endian uint64)``, from 32 zero bytes. Costs a microsecond or two per update.
    """

    def __init__(self, value: str | None = None) -> None:
        self._value = bytes.fromhex(value) if value else bytes(32)
        self._waiting: list[bytes] = []

    def add(self, keys: np.ndarray) -> None:
        """Append one batch's row keys, uint64[B]."""
        self._waiting.append(keys.astype(KEYS).tobytes())
        if len(self._waiting) == AT_ONCE:
            self._link()

    def hex(self) -> str:
        """The chain's end, 64 hex characters."""
        self._link()
        return self._value.hex()

    def _link(self) -> None:
        for keys in self._waiting:
            self._value = hashlib.sha256(self._value + keys).digest()
        self._waiting.clear()
