"""What a job says of itself in ``job/`` of its run directory. Any process can read it, follow it and end it.

``handle.json`` is written by whoever submits, ``begun`` and ``ended.json`` by the job, ``cancelled`` by who cancels. A
process id alone proves nothing, as ids are used again: the moment it was started tells a job from a later stranger.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError, IntegrityError, StemmaError, TrainingError, from_dict
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.locks import is_held
from training.launch.launcher import Place, launcher

JOB, HANDLE, BEGUN, ENDED, CANCELLED, LOG = "job", "handle.json", "begun", "ended.json", "cancelled", "job.log"
LOCK = "job.lock"
"""Beside ``job/``: held while a job is submitted, and for a moment by its agent, which so finds its handle written."""
AGENT = "agent.lock"
"""In ``job/``: held by its agent until it ends, which another machine of the same file system can see."""


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

    ``pid``, ``started`` and ``host`` are empty where a scheduler knows it by ``name``.
    """

    launcher: str
    request: Request
    pid: int = 0
    started: str = ""
    host: str = ""
    submitted: str
    name: str = ""

    @property
    def place(self) -> Place:
        """Where its agent is."""
        return Place(pid=self.pid, started=self.started, host=self.host, name=self.name)


def write_handle(run: Path, launcher: str, request: Request, place: Place) -> Handle:
    """Say that ``request`` is done at ``place``, in the run directory ``run``."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    handle = Handle(launcher=launcher, request=request, submitted=now, **asdict(place))
    atomic.write_json(run / JOB / HANDLE, asdict(handle))
    return handle


def read_handle(run: Path) -> Handle:
    """Raises DataError JOB_UNKNOWN where no job was submitted, and IntegrityError JOB_DAMAGED for what is no handle."""
    path = run / JOB / HANDLE
    if not path.is_file():
        raise DataError("JOB_UNKNOWN", "no job was submitted here", where=run, action="stemma jobs list shows them")
    with _written_by_a_job(path):
        return from_dict(Handle, load_json(path.read_bytes(), path))


def state_of(run: Path) -> State:
    """The state of the job in ``run``, from its files and its launcher. Raises as :func:`read_handle`, what the
    launcher's ``alive`` raises, and TrainingError JOB_ELSEWHERE for one that runs on another machine.
    """
    handle, job = read_handle(run), run / JOB
    if launcher(handle.launcher).alive(handle.place):
        return State.RUNNING if (job / BEGUN).exists() else State.PENDING
    if (job / ENDED).exists() and status_of(run) == 0:
        return State.COMPLETED
    if handle.host not in ("", platform.node()) and is_held(job / AGENT):
        action = "ask for it, or cancel it, there"
        raise TrainingError("JOB_ELSEWHERE", "this job runs on another machine", where=handle.host, action=action)
    return State.CANCELLED if (job / CANCELLED).exists() else State.FAILED


def status_of(run: Path) -> int | None:
    """The exit status that the job noted at its end, or None: it runs, or was killed before. Raises JOB_DAMAGED as
    :func:`read_handle`.
    """
    path = run / JOB / ENDED
    if not path.is_file():
        return None
    with _written_by_a_job(path):
        return int(load_json(path.read_bytes(), path)["status"])


@contextlib.contextmanager
def _written_by_a_job(path: Path) -> Iterator[None]:
    try:
        yield
    except (StemmaError, AttributeError, KeyError, TypeError, ValueError) as error:
        action = f"once no process of this job runs, remove {path.parent} and run again"
        raise IntegrityError("JOB_DAMAGED", f"no job wrote this: {error}", where=path, action=action) from error
