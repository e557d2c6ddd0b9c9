"""The chain of digests over every batch so far."""

from __future__ import annotations

import hashlib

import numpy as np


class OrderDigest:
    """A chain of SHA-256 over the row keys of every batch so far: equal chains mean equal batches in equal order.

    ``h' = sha256(h || keys as little-endian uint64)``, from 32 zero bytes. Costs a microsecond per update.
    """

    def __init__(self, value: str | None = None) -> None:
        self._value = bytes.fromhex(value) if value else bytes(32)

    def add(self, keys: np.ndarray) -> None:
        """Append one batch's row keys, uint64[B]."""
        self._value = hashlib.sha256(self._value + keys.astype("<u8").tobytes()).digest()

    def hex(self) -> str:
        """The chain's end, 64 hex characters."""
        return self._value.hex()
