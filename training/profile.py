"""What this process's share of a run cost: time to the first update, updates per second, time waiting for data."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Profile:
    """Clock readings of one process. ``before`` are the seconds that earlier processes spent on the same run."""

    before: float = 0.0
    updates: int = 0
    data_s: float = 0.0
    first_update_s: float | None = None
    started: float = field(default_factory=time.perf_counter)

    def waited(self, since: float) -> None:
        """Count the time since ``since`` (of ``time.perf_counter``) as spent on getting a batch."""
        self.data_s += time.perf_counter() - since

    def updated(self) -> None:
        """Count a finished update."""
        self.updates += 1
        if self.first_update_s is None:
            self.first_update_s = self.elapsed()

    def elapsed(self) -> float:
        """Seconds since this process opened the run."""
        return time.perf_counter() - self.started

    def seconds(self) -> float:
        """Seconds spent on the run over all processes."""
        return self.before + self.elapsed()

    def facts(self) -> dict[str, Any]:
        """``runtime_profile``, of this process alone: seconds, and updates per second after the first one."""
        first, elapsed = self.first_update_s, self.elapsed()
        steady = (self.updates - 1) / (elapsed - first) if first is not None and self.updates > 1 else None
        return {
            "time_to_first_update_s": first,
            "elapsed_s": elapsed,
            "updates": self.updates,
            "updates_per_s": steady,
            "data_wait_s": self.data_s,
        }
