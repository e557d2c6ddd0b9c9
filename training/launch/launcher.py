"""What a launcher does, and where each is found. All of them start ``python -m training.launch.agent RUN``.

It notes in the run directory when it begins and how it ended; a launcher is asked only for what that cannot tell.

The run directory and the store lie on a file system that every machine of the launcher sees under the same path.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assets_data.lineage import ConfigError
from assets_data.stage import load

GRACE_S, KILLED_S = 10.0, 4.0
"""Seconds from SIGTERM to SIGKILL and from there to the end, 15 together with what it takes to ask."""

LAUNCHERS = {
    "torchrun": "training.launch.local:LOCAL",
    "pipes": "training.launch.local:LOCAL",  # with progress by Dagster Pipes, see pipeline_defs.dagster.pipes
    "ray": "training.launch.ray_jobs:RAY",
    "slurm": "training.launch.slurm:SLURM",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a job's agent is: a process, the moment it was started and the machine it is on, or the name that a
    scheduler knows it by.
    """

    pid: int = 0
    started: str = ""
    host: str = ""
    name: str = ""


class Launcher(Protocol):
    """Starts agents, says whether they are still there, and ends them. Knows nothing but their places."""

    poll_s: float
    """Seconds between two questions whether one is still there."""

    def start(self, run: Path, processes: int, environment: Mapping[str, str]) -> Place:
        """Have :func:`command` run, its output in the job's log; returns in about a second.

        The agent waits for the lock that the caller holds, so it finds its handle. ``environment`` is added to it.
        """
        ...

    def alive(self, place: Place) -> bool:
        """Whether it waits or runs. Raises TrainingError JOB_UNREACHED where its scheduler does not answer."""
        ...

    def end(self, place: Place) -> None:
        """SIGTERM, which saves at the step's edge, and SIGKILL to every process that is left after GRACE_S."""
        ...


def launcher(name: str) -> Launcher:
    """The launcher of that name. Raises ConfigError LAUNCHER_UNKNOWN."""
    if name not in LAUNCHERS:
        raise ConfigError("LAUNCHER_UNKNOWN", "no launcher has this name", expected=sorted(LAUNCHERS), found=name)
    return load(LAUNCHERS[name])


def command(run: Path) -> list[str]:
    """What every launcher runs."""
    return [sys.executable, "-m", "training.launch.agent", str(run)]


def gone(left: Callable[[], object], seconds: float, poll_s: float) -> bool:
    """Wait until nothing is ``left``, at most so long; whether that came."""
    deadline = time.monotonic() + seconds
    while left():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll_s)
    return True
