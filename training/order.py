"""Which rows make update t. Owns the arithmetic between updates, epochs and rows; holds no state to save.

The rows of every epoch, each epoch in its own keyed order, form one endless stream; update t takes the t-th slice of
``batch_rows``. So a batch may cross an epoch's edge, no row is ever dropped, and reaching update ten million costs one
sort, as the first update does. Taking a row out leaves every batch before its first use as it was.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.lineage import keyed_order, mix64
from assets_data.lineage.identity.order import epoch_stream

if TYPE_CHECKING:
    from training.recipe import TableRef


def table_keys(row_keys: np.ndarray, chunks: int) -> np.ndarray:
    """uint64 keys of the training rows that a table's rows (uint64[n]) stand for, in row-major order.

    ``chunks`` 0 keeps the rows as they are; else each is cut into that many, keyed by its own key and their place.
    """
    if not chunks:
        return row_keys
    return np.stack([mix64(0, f"chunk/{chunk}", row_keys) for chunk in range(chunks)], 1).ravel()


class Order:
    """Rows by update, from a seed and the rows' keys (uint64[n], n >= 1).

    ``sort`` gives the rows of an epoch in their order: :func:`keyed_order`, or something that remembers what it gave.
    """

    def __init__(
        self,
        seed: int,
        row_keys: np.ndarray,
        batch_rows: int,
        sort: Callable[[int, int, np.ndarray], np.ndarray] = keyed_order,
    ) -> None:
        self._seed, self._keys, self._batch, self._sort = seed, row_keys, batch_rows, sort
        self._cached: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self._keys)

    def batch(self, update: int) -> tuple[np.ndarray, np.ndarray]:
        """``(rows, epochs)``, both int64[batch_rows], of update ``update`` (counted from 0)."""
        positions = np.arange(update * self._batch, (update + 1) * self._batch)
        epochs, ranks = np.divmod(positions, len(self))
        rows = np.empty_like(positions)
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            mine = epochs == epoch
            rows[mine] = self._epoch(epoch)[ranks[mine]]
        return rows, epochs

    def epoch(self, update: int) -> int:
        """The epoch in which update ``update`` takes its first row."""
        return update * self._batch // len(self)

    def uses(self, row: int, updates: int) -> Iterator[int]:
        """The updates below ``updates`` that take ``row``, ascending: one per epoch."""
        for epoch in range(self.epoch(updates) + 1):
            update = (epoch * len(self) + self.rank(row, epoch)) // self._batch
            if update < updates:
                yield update

    def rank(self, row: int, epoch: int) -> int:
        """The place of ``row`` among the rows of an epoch: a binary search by mixed key, equal keys by row."""
        order = self._epoch(epoch)

        def place(row: int) -> tuple[int, int]:
            return int(mix64(self._seed, epoch_stream(epoch), self._keys[row])), int(row)

        return bisect_left(range(len(self)), place(row), key=lambda rank: place(order[rank]))

    def record(self, updates: int, tables: Sequence[TableRef]) -> dict[str, Any]:
        """All that is needed, with the tables, to say years later which rows made which of ``updates`` updates."""
        listed = [asdict(table) for table in tables]
        return {"seed": self._seed, "batch_rows": self._batch, "updates": updates, "tables": listed}

    def keys(self, update: int) -> np.ndarray:
        """uint64[batch_rows]: the keys of the rows that update ``update`` takes."""
        return self._keys[self.batch(update)[0]]

    def _epoch(self, epoch: int) -> np.ndarray:
        if self._cached[0] != epoch:
            self._cached = (epoch, self._sort(self._seed, epoch, self._keys))
        return self._cached[1]


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
