"""The run's logs: losses, rate and gradient norm of every update, and, apart from them, how fast it went.

The device is asked once per log interval, for all its updates together. Clock readings never enter the metrics.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tqdm import tqdm

from training.callbacks.base import Callback
from training.run_directory import LOG

if TYPE_CHECKING:
    from training.run import Run


class Log(Callback):
    """JSON lines of metrics and of timings; one summary line per epoch on the terminal and in ``train.log``."""

    def train_begin(self, run: Run) -> None:
        self._since, self._from, self._waited = time.perf_counter(), run.update, run.profile.data_s
        self.items_per_s = 0.0
        self._say(run, f"begins after update {run.update:,} of {run.plan.updates:,}, on {run.device.type}")

    def epoch_begin(self, run: Run) -> None:
        self._epoch_since = time.perf_counter()

    def step_end(self, run: Run) -> None:
        run.journal.note(run.step)
        if run.due(run.plan.log_every):
            run.journal.commit()
            self._time_interval(run)

    def epoch_end(self, run: Run) -> None:
        run.journal.commit()
        seconds = time.perf_counter() - self._epoch_since
        run.timings.append({"update": run.update, "epoch": run.step.epoch, "epoch_s": seconds})
        points = " ".join(f"{name} {value:.4g}" for name, value in run.journal.headlines.items())
        speed = f"{self.items_per_s:,.0f} {run.recipe.item}/s"
        self._say(run, f"epoch {run.step.epoch} update {run.update:,}/{run.plan.updates:,} {points} {speed}")

    def train_end(self, run: Run) -> None:
        why = "early, as nothing improved" if run.ended else "as planned"
        self._say(run, f"ends after update {run.update:,}, {why}")

    def _time_interval(self, run: Run) -> None:
        """Items per second and milliseconds per update since the last line, waiting for data included and apart."""
        now, updates = time.perf_counter(), run.update - self._from
        seconds, waited = now - self._since, run.profile.data_s - self._waited
        self.items_per_s = updates * run.plan.batch_rows * run.data.items_per_row / seconds
        each = {"step_ms": 1e3 * seconds / updates, "data_wait_ms": 1e3 * waited / updates}
        timing = {"update": run.update, "seconds": run.profile.seconds(), **each}
        run.timings.append({**timing, f"{run.recipe.item}_per_s": self.items_per_s})
        self._since, self._from, self._waited = now, run.update, run.profile.data_s

    def _say(self, run: Run, line: str) -> None:
        if line.startswith("epoch"):
            tqdm.write(line)
        with open(run.directory / LOG, "a") as file:
            file.write(f"{line}\n")
