"""Several trainings in one process, an update of each in turn, so that all meet the same moments of the machine."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
import torch


def clocks() -> np.ndarray:
    """float64[2]: seconds of the clock and of this process's processor time."""
    return np.array([time.perf_counter(), time.process_time()])


def stay_on_one_core() -> bool:
    """Keep this process, and what it starts, on the last core it may use; False where the system has no such call.

    A contender's thread that wakes on another core than before finds nothing in that core's caches: with two cores to
    choose from an update varied by 12 % in place of 5, and rounds of one comparison by .7 % in place of .2.
    """
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return True


class Turns:
    """Runs contenders, each in a thread of its own, of which only one is ever awake. After an update the next has its
    turn, and once all had theirs they begin again in another order: what one leaves in the caches falls to all alike.

    A contender calls ``edge`` once an update, from its own thread. ``seed`` decides the orders.
    """

    def __init__(self, threads: int, seed: int = 0, read: Callable[[], np.ndarray] = clocks) -> None:
        self._threads, self._draw, self._read = threads, random.Random(seed), read
        self._awake: dict[str, threading.Semaphore] = {}
        self._order = deque[str]()
        self._edges: dict[str, list[tuple[float, float]]] = {}
        self._away: dict[str, np.ndarray] = {}
        self._failed: list[BaseException] = []

    def run(self, contenders: Mapping[str, Callable[[], None]]) -> dict[str, np.ndarray]:
        """Until all have ended; float64[updates - 1, 2] of each: what lay between two of its calls in seconds of the
        clock and of the processor, waiting for its turn left out. Raises what the first that failed raised.
        """
        self._awake = {name: threading.Semaphore(0) for name in contenders}
        self._edges = {name: [] for name in contenders}
        self._away = {name: np.zeros(2) for name in contenders}
        started = [threading.Thread(target=self._whole, args=one, name=one[0]) for one in contenders.items()]
        for thread in started:
            thread.start()
        self._wake_next()
        for thread in started:
            thread.join()
        if self._failed:
            raise self._failed[0]
        return {name: np.diff(np.array(edges), axis=0) for name, edges in self._edges.items()}

    def edge(self) -> None:
        """The calling contender is about to begin an update."""
        name = threading.current_thread().name
        if name not in self._awake:
            return
        now = self._read()
        self._edges[name].append(tuple(now - self._away[name]))
        self._wake_next()
        self._awake[name].acquire()
        self._away[name] += self._read() - now

    def _wake_next(self) -> None:
        while self._awake:
            if not self._order:
                self._order.extend(self._draw.sample(list(self._awake), len(self._awake)))
            if (name := self._order.popleft()) in self._awake:
                self._awake[name].release()
                return

    def _whole(self, name: str, run: Callable[[], None]) -> None:
        self._awake[name].acquire()
        torch.set_num_threads(self._threads)
        try:
            run()
        except BaseException as error:
            self._failed.append(error)
        del self._awake[name]
        self._wake_next()
