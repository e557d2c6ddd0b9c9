"""Submit, status, logs and cancel, for whoever has the run directory. The result of a job is in the store."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from assets_data.lineage import DataError
from assets_data.lineage.storage.store import lease
from training.launch.handle import (
    CANCELLED,
    HANDLE,
    JOB,
    LOCK,
    LOG,
    Handle,
    Request,
    State,
    read_handle,
    state_of,
    write_handle,
)
from training.launch.launcher import launcher


def submit(run: Path, request: Request, by: str = "torchrun", environment: Mapping[str, str] | None = None) -> Handle:
    """Start ``request`` in the run directory ``run`` and return at once; a job that is there and not over is joined.

    ``by`` is the launcher, ``environment`` what its agent's is to have besides. One process per device where
    ``processes`` is more than 1, started by torchrun's own agent.
    """
    with lease(run / LOCK):
        if (run / JOB / HANDLE).is_file() and not state_of(run).over:
            return read_handle(run)
        shutil.rmtree(run / JOB, ignore_errors=True)
        (run / JOB).mkdir(parents=True)
        (run / JOB / LOG).touch()
        place = launcher(by).start(run, request.processes, environment or {})
        return write_handle(run, by, request, place)


def jobs(root: Path) -> list[Path]:
    """The run directories below the store ``root`` that have a job, newest first."""
    handles = (root / "runs").glob(f"*/{JOB}/handle.json")
    return [path.parents[1] for path in sorted(handles, key=lambda path: path.stat().st_mtime_ns, reverse=True)]


def follow_log(run: Path) -> Iterator[str]:
    """The job's log lines from the beginning, waiting for more until it is over."""
    pause = launcher(read_handle(run).launcher).poll_s
    with open_log(run) as file:
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
            time.sleep(pause)


def open_log(run: Path) -> TextIO:
    """The job's log as text. Raises DataError JOB_NO_LOG."""
    try:
        return open(run / JOB / LOG, errors="replace")
    except FileNotFoundError as error:
        action = "stemma jobs status says how the job ended"
        raise DataError("JOB_NO_LOG", "this job's log is gone", where=run / JOB / LOG, action=action) from error


def cancel(run: Path) -> State:
    """End every process of the job: SIGTERM, which saves at the step's edge, after ten seconds SIGKILL. A job that is
    over stays what it was. Raises DataError JOB_UNKNOWN.
    """
    handle = read_handle(run)
    if state_of(run).over:
        return state_of(run)
    (run / JOB / CANCELLED).touch()
    launcher(handle.launcher).end(handle.place)
    return state_of(run)
