"""Submit, status, logs and cancel, for whoever has the run directory. The result of a job is in the store."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from assets_data.lineage.storage.store import lease
from training.launch.handle import (
    CANCELLED,
    JOB,
    LOG,
    Handle,
    Request,
    State,
    alive,
    descendants,
    read_handle,
    start_time,
    state_of,
    write_handle,
)

GRACE_S, KILLED_S, POLL_S = 10.0, 4.0, 0.1
"""Seconds from SIGTERM to SIGKILL and from there to the end, 15 together with what it takes to ask."""


def submit(run: Path, request: Request) -> Handle:
    """Start ``request`` in the run directory ``run`` and return at once; a job that is there and not over is joined.

    One process per device where ``processes`` is more than 1, started by torchrun's own agent.
    """
    with lease(run / "job.lock"):
        if (run / JOB).is_dir() and not state_of(run).over:
            return read_handle(run)
        shutil.rmtree(run / JOB, ignore_errors=True)
        (run / JOB).mkdir(parents=True)
        command = [sys.executable, "-m", "training.launch.agent", str(run)]
        with open(run / JOB / LOG, "wb") as log:
            agent = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, close_fds=True
            )
        handle = write_handle(run, "torchrun", request, agent.pid)
        assert agent.stdin
        agent.stdin.close()  # the agent waits for this: by now its handle is there
        return handle


def jobs(root: Path) -> list[Path]:
    """The run directories below the store ``root`` that have a job, newest first."""
    handles = (root / "runs").glob(f"*/{JOB}/handle.json")
    return [path.parents[1] for path in sorted(handles, key=lambda path: path.stat().st_mtime_ns, reverse=True)]


def follow_log(run: Path) -> Iterator[str]:
    """The job's log lines from the beginning, waiting for more until it is over."""
    with open(run / JOB / LOG, errors="replace") as file:
        line = ""
        while True:
            over = state_of(run).over  # asked before the read: what it wrote last is still read
            while more := file.readline():
                line += more
                if line.endswith("\n"):
                    yield line.rstrip("\n")
                    line = ""
            if over:
                if line:
                    yield line
                return
            time.sleep(POLL_S)


def cancel(run: Path) -> State:
    """End every process of the job: SIGTERM, which saves at the step's edge, after ten seconds SIGKILL. A job that is
    over stays what it was. Raises DataError JOB_UNKNOWN.
    """
    handle = read_handle(run)
    if state_of(run).over:
        return state_of(run)
    (run / JOB / CANCELLED).touch()
    known = {pid: start_time(pid) for pid in descendants(handle.pid)}
    _signal(handle, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while _left(known) and time.monotonic() < deadline:
        if alive(handle):
            known |= {pid: start_time(pid) for pid in descendants(handle.pid)}
        time.sleep(POLL_S)
    for pid in _left(known):
        _kill(pid)
    deadline = time.monotonic() + KILLED_S
    while _left(known) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return state_of(run)


def _left(known: dict[int, str]) -> list[int]:
    return [pid for pid, started in known.items() if started and start_time(pid) == started]


def _signal(handle: Handle, number: int) -> None:
    if alive(handle):
        os.kill(handle.pid, number)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.kill(pid, signal.SIGKILL)
