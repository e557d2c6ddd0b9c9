"""What a job says of itself in ``job/`` of its run directory. Any process can read it, follow it and end it.

``handle.json`` is written by whoever submits, ``begun`` and ``ended.json`` by the job, ``cancelled`` by who cancels. A
process id alone proves nothing, as ids are used again: the moment it was started tells a job from a later stranger.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError, from_dict
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic
from training.launch.launcher import Place, launcher

JOB, HANDLE, BEGUN, ENDED, CANCELLED, LOG = "job", "handle.json", "begun", "ended.json", "cancelled", "job.log"
LOCK = "job.lock"
"""Beside ``job/``: held while a job is submitted, and for a moment by its agent, which so finds its handle written."""


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
    """A submitted job: its launcher, what it does, the process that answers for it, and when it was submitted.

    ``pid`` and ``started`` are empty where that is another machine's: then its scheduler knows it by ``name``.
    """

    launcher: str
    request: Request
    pid: int = 0
    started: str = ""
    submitted: str
    name: str = ""

    @property
    def place(self) -> Place:
        """Where its agent is."""
        return Place(pid=self.pid, started=self.started, name=self.name)


def write_handle(run: Path, launcher: str, request: Request, place: Place) -> Handle:
    """Say that ``request`` is done at ``place``, in the run directory ``run``."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    handle = Handle(launcher=launcher, request=request, submitted=now, **asdict(place))
    atomic.write_json(run / JOB / HANDLE, asdict(handle))
    return handle


def read_handle(run: Path) -> Handle:
    """Raises DataError JOB_UNKNOWN where no job was submitted, and ConfigError for what is no handle."""
    path = run / JOB / HANDLE
    if not path.is_file():
        raise DataError("JOB_UNKNOWN", "no job was submitted here", where=run, action="stemma jobs list shows them")
    return from_dict(Handle, load_json(path.read_bytes(), path))


def state_of(run: Path) -> State:
    """The state of the job in ``run``, from its files and its launcher. Raises as :func:`read_handle`, and what the
    launcher's ``alive`` raises.
    """
    handle, job = read_handle(run), run / JOB
    if launcher(handle.launcher).alive(handle.place):
        return State.RUNNING if (job / BEGUN).exists() else State.PENDING
    if (job / ENDED).exists() and status_of(run) == 0:
        return State.COMPLETED
    return State.CANCELLED if (job / CANCELLED).exists() else State.FAILED


def status_of(run: Path) -> int | None:
    """The exit status that the job noted at its end, or None: it runs, or was killed before."""
    path = run / JOB / ENDED
    return load_json(path.read_bytes(), path)["status"] if path.is_file() else None
