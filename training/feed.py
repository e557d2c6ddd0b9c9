"""The batches of an update, made when they are asked for or ahead of it by a thread.

A batch is a function of the update alone, so there is nothing to save, and made ahead it is the same to the bit.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from training.run import Run

Taken = tuple[np.ndarray, np.ndarray]
"""Rows with their epochs, int64[B] each."""
Batch = tuple[dict[str, Tensor], int]
"""A recipe's batch, and how many items its losses are means of."""


@dataclass(frozen=True, slots=True)
class Fed:
    """What an update trains on: its rows with their epochs, and of this process's lanes the micro-batches."""

    rows: np.ndarray
    epochs: np.ndarray
    lanes: dict[int, list[Batch]]


AHEAD = 2
"""How many updates ahead where nobody said and there is time: processes wait for each other, a host for its GPU."""


class Feed:
    """Hands out an update at a time; with ``run.world.ahead`` a thread makes as many of the next meanwhile. Not given,
    it is AHEAD for several processes or a CUDA device, and none on one process's CPU.
    """

    def __init__(self, run: Run) -> None:
        waits = run.world.size > 1 or run.device.type == "cuda"
        self._run, given = run, run.world.ahead
        self.ahead = given if given is not None else AHEAD if waits else 0
        self._thread = ThreadPoolExecutor(1, "batches") if self.ahead else None
        self._coming: dict[int, Future[Fed]] = {}

    def take(self, update: int) -> Fed:
        """The update's batches. Raises what making them raises."""
        since = time.perf_counter()
        fed = self._made(update) if self._thread else self._make(update)
        self._run.profile.waited(since)
        return fed

    def close(self) -> None:
        """End the thread; what it made ahead is forgotten."""
        if self._thread:
            self._thread.shutdown(cancel_futures=True)

    def _made(self, update: int) -> Fed:
        for coming in range(update, min(update + 1 + self.ahead, self._run.plan.updates)):
            if coming not in self._coming and self._thread:
                self._coming[coming] = self._thread.submit(self._make, coming)
        return self._coming.pop(update).result()

    def _make(self, update: int) -> Fed:
        run = self._run
        rows, epochs = run.order.batch(update)
        lanes = _pieces((rows, epochs), run.plan.lanes)
        own = {lane: _pieces(lanes[lane], run.plan.accumulation) for lane in run.world.share(run.plan.lanes)}
        return Fed(rows, epochs, {lane: [self._batch(*part) for part in parts] for lane, parts in own.items()})

    def _batch(self, rows: np.ndarray, epochs: np.ndarray) -> Batch:
        batch, items = self._run.batch(self._run.data, rows.copy(), epochs.copy())  # a recipe may sort its own
        if self._thread and self._run.device.type == "cuda":  # only from pinned memory is a copy asynchronous
            batch = {name: value.pin_memory() for name, value in batch.items()}
        return batch, items


def _pieces(given: Taken, count: int) -> list[Taken]:
    """As many equal parts of rows and of their epochs. Where there is nothing to split, ``np.split`` would take longer
    than many a kernel.
    """
    return [given] if count == 1 else list(zip(*(np.split(each, count) for each in given), strict=True))
