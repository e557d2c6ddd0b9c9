"""What a job says of itself in ``job/`` of its run directory. Any process can read it, follow it and end it.

``handle.json`` is written by whoever submits, ``begun`` and ``ended.json`` by the job, ``cancelled`` by who cancels. A
process id alone proves nothing, as ids are used again: the moment it was started tells a job from a later stranger.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError, from_dict, processes
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic

JOB, HANDLE, BEGUN, ENDED, CANCELLED, LOG = "job", "handle.json", "begun", "ended.json", "cancelled", "job.log"


class State(StrEnum):
    """Where a job is. PENDING: accepted, its processes not yet started."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def over(self) -> bool:
        """Nothing will come of it any more."""
        return self not in (State.PENDING, State.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One training to do: everything by id, so that no name is looked up twice."""

    store: str
    recipe: str
    inputs: dict[str, str]
    preflight: str
    requested: dict[str, Any]
    processes: int = 1
    parallel: str = "ddp"
    """How several processes share the model; one process has no choice."""
    reduction: str = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A submitted job: its launcher, what it does, the process that answers for it, and when it was submitted."""

    launcher: str
    request: Request
    pid: int
    started: str
    submitted: str


def write_handle(run: Path, launcher: str, request: Request, pid: int) -> Handle:
    """Say that ``pid`` does ``request`` in the run directory ``run``."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    handle = Handle(launcher=launcher, request=request, pid=pid, started=start_time(pid), submitted=now)
    atomic.write_json(run / JOB / HANDLE, asdict(handle))
    return handle


def read_handle(run: Path) -> Handle:
    """Raises DataError JOB_UNKNOWN where no job was submitted, and ConfigError for what is no handle."""
    path = run / JOB / HANDLE
    if not path.is_file():
        raise DataError("JOB_UNKNOWN", "no job was submitted here", where=run, action="stemma jobs list shows them")
    return from_dict(Handle, load_json(path.read_bytes(), path))


def state_of(run: Path) -> State:
    """The state of the job in ``run``, from its files and the kernel. Raises as :func:`read_handle`."""
    handle, job = read_handle(run), run / JOB
    if alive(handle):
        return State.RUNNING if (job / BEGUN).exists() else State.PENDING
    if (job / ENDED).exists() and status_of(run) == 0:
        return State.COMPLETED
    return State.CANCELLED if (job / CANCELLED).exists() else State.FAILED


def status_of(run: Path) -> int | None:
    """The exit status that the job noted at its end, or None: it runs, or was killed before."""
    path = run / JOB / ENDED
    return load_json(path.read_bytes(), path)["status"] if path.is_file() else None


def alive(handle: Handle) -> bool:
    """Whether the job's own process runs: not a zombie, and no later one of the same id."""
    return bool(handle.started) and start_time(handle.pid) == handle.started


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
