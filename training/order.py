"""Which rows make update t. Owns the arithmetic between updates, epochs and rows; holds no state to save.

The rows of every epoch, each epoch in its own keyed order, form one endless stream; update t takes the t-th slice of
``batch_rows``. So a batch may cross an epoch's edge, no row is ever dropped, and reaching update ten million costs one
sort, as the first update does. Taking a row out leaves every batch before its first use as it was.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from assets_data.lineage import keyed_order


class Order:
    """Rows by update, from a seed and the rows' keys (uint64[n], n >= 1)."""

    def __init__(self, seed: int, row_keys: np.ndarray, batch_rows: int) -> None:
        self._seed, self._keys, self._batch = seed, row_keys, batch_rows
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
            rank = int(np.flatnonzero(self._epoch(epoch) == row)[0])
            update = (epoch * len(self) + rank) // self._batch
            if update < updates:
                yield update

    def _epoch(self, epoch: int) -> np.ndarray:
        if self._cached[0] != epoch:
            self._cached = (epoch, keyed_order(self._seed, epoch, self._keys))
        return self._cached[1]
