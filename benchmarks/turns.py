"""Several trainings in one process, a few updates of each in turn, so that all meet the same moments of the machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch


def clocks() -> np.ndarray:
    """float64[2]: seconds of the clock and of this process's processor time."""
    return np.array([time.perf_counter(), time.process_time()])


class Turns:
    """Runs contenders, each in a thread of its own, ``block`` updates at a time; only one of them is ever awake.

    A contender calls ``edge`` once an update, from its own thread.
    """

    def __init__(self, block: int, threads: int, read: Callable[[], np.ndarray] = clocks) -> None:
        self._block, self._threads, self._read = block, threads, read
        self._awake: dict[str, threading.Semaphore] = {}
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
        next(iter(self._awake.values())).release()
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
        if len(self._edges[name]) % self._block == 0:
            self._next_after(name).release()
            self._awake[name].acquire()
            self._away[name] += self._read() - now

    def _next_after(self, name: str) -> threading.Semaphore:
        ring = list(self._awake)
        return self._awake[ring[(ring.index(name) + 1) % len(ring)]]

    def _whole(self, name: str, run: Callable[[], None]) -> None:
        self._awake[name].acquire()
        torch.set_num_threads(self._threads)
        try:
            run()
        except BaseException as error:
            self._failed.append(error)
        following = self._next_after(name)
        del self._awake[name]
        following.release()
