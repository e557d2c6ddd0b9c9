"""Jobs as processes of this machine, found again by process id and moment of the start."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from assets_data.lineage import processes
from training.launch.handle import JOB, LOG
from training.launch.launcher import GRACE_S, KILLED_S, Place, command, gone


class Local:
    """The agent in a session of its own: it outlives who started it."""

    poll_s = 0.1

    def start(self, run: Path, processes: int, environment: Mapping[str, str]) -> Place:
        """Returns at once."""
        with open(run / JOB / LOG, "wb") as log:
            agent = subprocess.Popen(
                command(run),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return Place(pid=agent.pid, started=start_time(agent.pid), host=platform.node())

    def alive(self, place: Place) -> bool:
        """Not a zombie, and no later process of the same id."""
        return bool(place.started) and start_time(place.pid) == place.started

    def end(self, place: Place) -> None:
        """Those below the agent are signalled by it, and killed by what was known of them if it is gone first."""
        known: dict[int, str] = {}

        def left() -> list[int]:
            if self.alive(place):
                known.update({pid: start_time(pid) for pid in descendants(place.pid)})
            return [pid for pid, started in known.items() if started and start_time(pid) == started]

        left()
        if self.alive(place):
            _signal(place.pid, signal.SIGTERM)
        if not gone(left, GRACE_S, self.poll_s):
            for pid in left():
                _signal(pid, signal.SIGKILL)
            gone(left, KILLED_S, self.poll_s)


LOCAL = Local()


def start_time(pid: int) -> str:
    """When a process was started, as boot and clock ticks since it; empty for one that ended."""
    ticks = processes.started(pid)
    return ticks and f"{processes.boot_id()}/{ticks}"


def descendants(pid: int) -> list[int]:
    """``pid`` and every process below it, parents first: torchrun starts each of its own in a session of its own."""
    parents: dict[int, list[int]] = {}
    for entry in filter(str.isdigit, os.listdir(processes.PROC)):
        if processes.started(int(entry)) and (parent := processes.parent_of(int(entry))) is not None:
            parents.setdefault(parent, []).append(int(entry))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.kill(pid, number)
