"""The mutable directory of one run: its layout and the lease that makes it one trainer's at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from assets_data.lineage import TrainingError

METRICS, TIMINGS, LOG, CHECKPOINTS, LOCK = "metrics.jsonl", "timings.jsonl", "train.log", "checkpoints", "lock"
BEST, PASSED = "best", "gate_passed"
"""Hard links to the best checkpoint by held-out metric, and to those that passed a gate, which stay for ever."""


@contextlib.contextmanager
def run_lease(directory: Path) -> Iterator[None]:
    """Hold the run directory; the kernel ends the lease with the process. Raises TrainingError RUN_IN_USE at once."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / LOCK, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            action = "wait for it, or stop it and run again"
            holder = f"process {file.read().strip() or 'unknown'}"
            raise TrainingError(
                "RUN_IN_USE", "another trainer holds this run", found=holder, where=directory, action=action
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
