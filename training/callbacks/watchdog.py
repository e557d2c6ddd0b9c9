"""Ends a process whose update stalls: stacks of every thread to ``stalled.txt`` and stderr, then exit status 75.

Status 75 is EX_TEMPFAIL of sysexits.h: trying again may help, and ``python -m training`` does so once. The run goes on
from its newest checkpoint. A stall that never lets go of the interpreter cannot be seen from inside.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from training.callbacks.base import Callback
from training.config import STALLED

if TYPE_CHECKING:
    from training.run import Run

STACKS = "stalled.txt"


class Watchdog(Callback):
    """A thread that looks at the time since the last step's edge, measurements and saves included."""

    def __init__(self) -> None:
        self._edge, self._over = time.monotonic(), threading.Event()

    def train_begin(self, run: Run) -> None:
        self._edge = time.monotonic()
        threading.Thread(target=self._watch, args=(run,), daemon=True).start()

    def step_begin(self, run: Run) -> None:
        self._edge = time.monotonic()

    def step_end(self, run: Run) -> None:
        self._edge = time.monotonic()

    def close(self) -> None:
        self._over.set()

    def _watch(self, run: Run) -> None:
        limit = run.plan.stall_seconds
        while not self._over.wait(max(0.0, self._edge + limit - time.monotonic())):
            if time.monotonic() - self._edge >= limit:
                give_up(run, limit)


def give_up(run: Run, limit: float) -> None:
    """Dump every stack and leave at once: nothing is saved, as a stalled update has no edge to save at."""
    with open(run.directory / STACKS, "w") as file:
        faulthandler.dump_traceback(file)
    print(f"update {run.update + 1} took longer than {limit} s; stacks in {run.directory / STACKS}", file=sys.stderr)
    faulthandler.dump_traceback(sys.stderr)
    sys.stderr.flush()
    os._exit(STALLED)
