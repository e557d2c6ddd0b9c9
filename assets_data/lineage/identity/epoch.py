"""The keyed order of an epoch of a billion rows, sorted only where it is read.

Sorting all rows at once, as :func:`keyed_order` does, takes minutes and tens of gigabytes of a billion. Here rows are
told apart by the top bits of their mixed keys. A bucket of them is a stretch of the order; the one that holds what is
asked for is gathered in one pass over the keys (8 bytes a row are read, 12 a row of the bucket are kept) and sorted.
The rows come in the same order, bit for bit. Reading an epoch from end to end takes a pass per bucket.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from assets_data.lineage.identity.order import epoch_stream, keyed_order, mix64

BUCKET_ROWS = 1 << 24
"""Rows sorted at once: half a gigabyte while they are, and a second or two."""
CHUNK_ROWS = 1 << 15  # keys mixed at a time: 256 kB, which stay in a core's cache from one operation to the next
TASK_CHUNKS = 32  # chunks that a thread takes at once: handing over one costs a fifth of mixing it


def epoch_rows(seed: int, epoch: int, row_keys: np.ndarray) -> np.ndarray | KeyedEpoch:
    """The rows of an epoch in training order: all at once, or of many rows as they are read."""
    if len(row_keys) <= BUCKET_ROWS:
        return keyed_order(seed, epoch, row_keys)
    return KeyedEpoch(seed, epoch, row_keys)


class _Bucket(NamedTuple):
    """A stretch of the order: its number, where it begins, and its rows."""

    number: int
    begin: int
    rows: np.ndarray

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.begin + len(self.rows)


class KeyedEpoch:
    """The rows of one epoch by place, as ``keyed_order(seed, epoch, row_keys)`` has them: ``epoch[place]``, and slices
    without a step. ``passes`` counts how often the keys were read. Holds one bucket.
    """

    def __init__(self, seed: int, epoch: int, row_keys: np.ndarray, bucket_rows: int = 0) -> None:
        self._seed, self._stream, self._keys = seed, epoch_stream(epoch), row_keys
        bucket_rows = bucket_rows or BUCKET_ROWS
        self._bits = max(0, (len(row_keys) - 1).bit_length() - (bucket_rows.bit_length() - 1))
        self._held = _Bucket(-1, 0, np.empty(0, np.int64))
        self.passes = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, place: int | slice) -> np.ndarray:
        if isinstance(place, slice):
            begin, end, _ = place.indices(len(self))
            return np.concatenate([np.empty(0, np.int64), *self._pieces(begin, end)])
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return next(self._pieces(place % len(self), place % len(self) + 1))[0]

    def _pieces(self, begin: int, end: int) -> Iterator[np.ndarray]:
        while begin < end:
            bucket = self._holding(begin)
            piece = bucket.rows[begin - bucket.begin : end - bucket.begin]
            begin += len(piece)
            yield piece.astype(np.int64)

    def _holding(self, place: int) -> _Bucket:
        """The bucket that holds a place: the one in which it would lie if all were equally full, or one near it."""
        held = self._held
        if held.begin <= place < held.end:
            return held
        onward = place == held.end
        number = held.number + 1 if onward else (place << self._bits) // len(self)
        begin = held.end if onward else None if number else 0
        while True:
            held = self._held = self._gathered(number, begin)
            if held.begin <= place < held.end:
                return held
            number, begin = (number - 1, None) if place < held.begin else (number + 1, held.end)

    def _gathered(self, number: int, begin: int | None) -> _Bucket:
        """One pass over the keys: the bucket's rows, sorted, and where it begins, counted where nobody knows."""
        self.passes += 1
        low, width = np.uint64(number << (64 - self._bits)), np.uint64((1 << (64 - self._bits)) - 1)
        room = int(1.02 * (len(self) >> self._bits)) + 4096
        narrow = np.uint32 if len(self) < 2**32 else np.int64
        rows, mixed, count, before = np.empty(room, narrow), np.empty(room, np.uint64), 0, 0
        for first, (found, keys, lower) in self._chunks(low, width, begin is None):
            if count + len(found) > len(rows):  # more equal keys than chance gives
                more = len(rows) + len(found)
                rows, mixed = (np.concatenate([part, np.empty(more, part.dtype)]) for part in (rows, mixed))
            rows[count : count + len(found)] = found + first
            mixed[count : count + len(found)] = keys
            count, before = count + len(found), before + lower
        rows, mixed = rows[:count], mixed[:count]
        order = np.argsort(mixed)
        ranked = mixed[order]
        if np.any(ranked[1:] == ranked[:-1]):
            order = np.argsort(mixed, kind="stable")
        return _Bucket(number, before if begin is None else begin, rows[order])

    def _chunks(
        self, low: np.uint64, width: np.uint64, counted: bool
    ) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray, int]]]:
        """By chunk of rows: where it begins; its places whose keys are in [low, low + width], those keys, and, where
        ``counted``, how many lie below.
        """

        def look(begin: int) -> tuple[np.ndarray, np.ndarray, int]:
            mixed = mix64(self._seed, self._stream, self._keys[begin : begin + CHUNK_ROWS])
            lower = int(np.count_nonzero(mixed < low)) if counted else 0
            found = np.flatnonzero(mixed - low <= width)  # what lies below wraps round and is large
            return found, mixed[found], lower

        def task(begin: int) -> list[tuple[int, tuple[np.ndarray, np.ndarray, int]]]:
            end = min(begin + TASK_CHUNKS * CHUNK_ROWS, len(self))
            return [(first, look(first)) for first in range(begin, end, CHUNK_ROWS)]

        threads = min(8, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads) as pool:
            step = threads * TASK_CHUNKS * CHUNK_ROWS
            for block in range(0, len(self), step):
                begins = range(block, min(block + step, len(self)), TASK_CHUNKS * CHUNK_ROWS)
                for found in pool.map(task, begins):
                    yield from found
                self._give_back(block, block + step)

    def _give_back(self, begin: int, end: int) -> None:
        """Pages of mapped keys that were read stay in the page cache, but no longer count as this process's."""
        mapped = getattr(self._keys, "_mmap", None)
        if isinstance(mapped, mmap.mmap):
            size = self._keys.itemsize
            first = begin * size // mmap.PAGESIZE * mmap.PAGESIZE
            mapped.madvise(mmap.MADV_DONTNEED, first, min(end * size, len(mapped)) - first)
