"""Which rows make update t. Owns the arithmetic between updates, epochs and rows; holds no state to save.

The rows of every epoch, each epoch in its own keyed order, form one endless stream; update t takes the t-th slice of
``batch_rows``. So a batch may cross an epoch's edge, no row is ever dropped, and reaching update ten million costs what
the first update does: a look at every key and a sort of some (of a weighted order, whose epochs differ in length, their
lengths are counted first). Taking a row out leaves every batch before its first use as it was.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from assets_data.lineage import DataError, mix64
from assets_data.lineage.identity.epoch import KeyedEpoch, epoch_rows
from assets_data.lineage.identity.order import epoch_stream
from training.order.kinds import EACH_ONCE, UNIFORM, WEIGHTED, OrderKind, repeats

if TYPE_CHECKING:
    from training.data import TableRef


Rows = np.ndarray | KeyedEpoch
"""The rows of an epoch by place."""


def table_keys(row_keys: np.ndarray, chunks: int) -> np.ndarray:
    """uint64 keys of the training rows that a table's rows (uint64[n]) stand for, in row-major order.

    ``chunks`` 0 keeps the rows as they are; else each is cut into that many, keyed by its own key and their place.
    """
    if not chunks:
        return row_keys
    return np.stack([mix64(0, f"chunk/{chunk}", row_keys) for chunk in range(chunks)], 1).ravel()


def table_values(values: np.ndarray, chunks: int) -> np.ndarray:
    """float64: the values of the training rows that a table's rows stand for; every chunk of a row has the row's."""
    return np.repeat(np.asarray(values, np.float64), chunks or 1)


class Order:
    """Rows by update, from a seed and the rows' keys (uint64[n], n >= 1), and their values where ``kind`` takes them.

    ``sort`` gives the rows of a uniform epoch in their order, as :func:`keyed_order` does: :func:`epoch_rows`, which
    sorts no more than is read, or something that remembers what it gave. Raises DataError ORDER_VALUES for values that
    are missing, not finite, or negative as weights.
    """

    def __init__(
        self,
        seed: int,
        row_keys: np.ndarray,
        batch_rows: int,
        sort: Callable[[int, int, np.ndarray], Rows] = epoch_rows,
        kind: OrderKind = EACH_ONCE,
        values: np.ndarray | None = None,
    ) -> None:
        self._seed, self._keys, self._batch, self._sort, self.kind = seed, row_keys, batch_rows, sort, kind
        self._values = _checked(kind, row_keys, values)
        self._cached: tuple[int, Rows] = (-1, np.empty(0, np.int64))
        self._begins = [0]  # where each epoch of a weighted order begins in the stream

    def __len__(self) -> int:
        return len(self._keys)

    def batch(self, update: int) -> tuple[np.ndarray, np.ndarray]:
        """``(rows, epochs)``, both int64[batch_rows], of update ``update`` (counted from 0)."""
        positions = np.arange(update * self._batch, (update + 1) * self._batch)
        rows, epochs = np.empty_like(positions), np.empty_like(positions)
        done = 0
        while done < len(positions):
            epoch = self._epoch_at(int(positions[done]))
            begin, order = self._begin(epoch), self._epoch(epoch)
            count = min(len(positions) - done, begin + len(order) - int(positions[done]))
            first = int(positions[done]) - begin
            rows[done : done + count], epochs[done : done + count] = order[first : first + count], epoch
            done += count
        return rows, epochs

    def epoch(self, update: int) -> int:
        """The epoch in which update ``update`` takes its first row."""
        return self._epoch_at(update * self._batch)

    def uses(self, row: int, updates: int) -> Iterator[int]:
        """The updates below ``updates`` that take ``row``, ascending, each once."""
        last = -1
        for epoch in range(self.epoch(updates) + 1):
            for rank in self._ranks(row, epoch):
                update = (self._begin(epoch) + rank) // self._batch
                if last < update < updates:
                    last = update
                    yield update

    def rank(self, row: int, epoch: int) -> int:
        """The place of ``row`` among the rows of a uniform epoch: a binary search by mixed key, equal keys by row."""
        order = self._epoch(epoch)

        def place(row: int) -> tuple[int, int]:
            return int(mix64(self._seed, epoch_stream(epoch), self._keys[row])), int(row)

        return bisect_left(range(len(self)), place(row), key=lambda rank: place(int(order[rank])))

    def record(self, updates: int, tables: Sequence[TableRef]) -> dict[str, Any]:
        """All that is needed, with the tables, to say years later which rows made which of ``updates`` updates."""
        listed = [asdict(table) for table in tables]
        facts = {"seed": self._seed, "batch_rows": self._batch, "updates": updates, "tables": listed}
        return facts if self.kind.name == UNIFORM else {**facts, "kind": self.kind.facts()}

    def keys(self, update: int) -> np.ndarray:
        """uint64[batch_rows]: the keys of the rows that update ``update`` takes."""
        return self._keys[self.batch(update)[0]]

    def _ranks(self, row: int, epoch: int) -> Sequence[int]:
        if self.kind.name == UNIFORM:
            return [self.rank(row, epoch)]
        return np.flatnonzero(self._epoch(epoch) == row).tolist()

    def _epoch_at(self, position: int) -> int:
        """The epoch that holds a position of the stream."""
        if self.kind.name != WEIGHTED:
            return position // len(self)
        begins = self._begun(lambda begins: begins[-1] > position)
        return bisect_right(begins, position) - 1

    def _begin(self, epoch: int) -> int:
        """Where an epoch begins in the stream."""
        if self.kind.name != WEIGHTED:
            return epoch * len(self)
        return self._begun(lambda begins: len(begins) > epoch)[epoch]

    def _begun(self, enough: Callable[[list[int]], bool]) -> list[int]:
        """Where epochs begin, as far as is ``enough``. What is remembered is replaced and never changed, as a thread
        that makes batches ahead asks at the same time.
        """
        begins = self._begins
        if not enough(begins):
            begins = list(begins)
            while not enough(begins):
                begins.append(begins[-1] + self._length(len(begins) - 1))
            self._begins = begins
        return begins

    def _length(self, epoch: int) -> int:
        return int(repeats(self._seed, epoch, self._keys, self._values).sum())

    def _epoch(self, epoch: int) -> Rows:
        cached = self._cached  # another thread may replace it meanwhile
        if cached[0] != epoch:
            uniform = self.kind.name == UNIFORM
            rows = (
                self._sort(self._seed, epoch, self._keys)
                if uniform
                else self.kind.rows(self._seed, epoch, self._keys, self._values)
            )
            self._cached = cached = (epoch, rows)
        return cached[1]


def _checked(kind: OrderKind, row_keys: np.ndarray, values: np.ndarray | None) -> np.ndarray:
    if kind.name == UNIFORM:
        return np.empty(0)
    found = np.empty(0) if values is None else np.asarray(values, np.float64)
    if len(found) != len(row_keys) or not np.isfinite(found).all():
        what = "an order by values needs a finite one for every row"
        raise DataError("ORDER_VALUES", what, expected=len(row_keys), found=len(found), where=kind.column)
    if kind.name == WEIGHTED and (found.min(initial=0) < 0 or found.sum() < 1):
        what = "weights are at least 0, and take a row an epoch in all"
        raise DataError("ORDER_VALUES", what, found=float(found.sum()), where=kind.column)
    return found
