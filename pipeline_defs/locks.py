"""Locks that say who holds them: of the root (one writer of names) and of each run that is alive.

The kernel gives a lock back however its process ends, so who holds one is alive, and a lock file that nobody holds was
left by the dead: by kill -9, by a power cut, in a container that is gone. What the file says is for people.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from assets_data.lineage import StorageError
from assets_data.lineage.processes import boot_id, started
from assets_data.lineage.storage import atomic

ROOT_LOCK = "run.lock"  # below the root: whoever moves names of the store
_held: set[IO[bytes]] = set()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def hold(path: Path, what: str, wait: bool = True, say: Callable[[str], None] = _say) -> Iterator[None]:
    """Hold the lock on ``path`` as ``what``. A wait is announced at once and ends on the first signal.

    Raises StorageError LOCK_HELD, naming the holder, where it is taken and ``wait`` is false.
    """
    with _opened(path) as file:
        if not _taken(file):
            if not wait:
                action = "wait for it, or end it; without --no-wait this one waits"
                raise StorageError("LOCK_HELD", "another command holds this root", found=holder(path), action=action)
            say(f"  waiting: {holder(path)}")
            fcntl.flock(file, fcntl.LOCK_EX)
        _describe(file, what)
        yield


@contextlib.contextmanager
def mark_alive(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of one run for as long as it works; its file goes with it, unless the process is killed.

    Where this process holds it already, that will do.
    """
    if any(file.name == str(path) for file in _held):
        yield
        return
    with hold(path, what):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_dead(path: Path) -> bool | None:
    """Whether the process that made this lock file ended without removing it; None where there is no file.

    One that ends in good order removes its file before it lets go, so the file is looked for again under the lock.
    """
    try:
        with open(path, "r+b") as file:
            if not os.fstat(file.fileno()).st_size:
                return None  # its maker is about to lock it
            if not _taken(file):
                return False
            return True if os.path.samestat(path.stat(), os.fstat(file.fileno())) else None
    except FileNotFoundError:
        return None


def holder(path: Path) -> str:
    """Who holds a lock, for people: ``stemma run --recipe walk_lm (pid 4242 on host), since 15:40:02``."""
    facts = read_facts(path)
    if not facts:
        return "an unknown process"
    return f"{facts['what']} (pid {facts['pid']} on {facts['host']}), since {facts['since']}"


def read_facts(path: Path) -> dict[str, Any]:
    """What the file says of its holder; nothing where it is not written, or half."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}


def _describe(file: IO[bytes], what: str) -> None:
    facts = {"what": what, "pid": os.getpid(), "host": socket.gethostname(), "boot": boot_id()}
    facts |= {
        "process_started": started(os.getpid()),
        "since": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S"),
    }
    file.truncate(0)
    file.write(json.dumps(facts).encode())
    file.flush()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with atomic.disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(str(path), "ab")  # noqa: SIM115 - held open for as long as the lock is
    with file:
        _held.add(file)
        try:
            yield file
        finally:
            _held.discard(file)


def _taken(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _let_go_in_child() -> None:
    """A forked child must not keep its parent's locks: closing its copies leaves the parent's as they are."""
    while _held:
        _held.pop().close()


os.register_at_fork(after_in_child=_let_go_in_child)
