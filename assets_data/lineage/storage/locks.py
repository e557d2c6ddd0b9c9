"""Who may work on a store's files now: exclusive leases, and marks that keep what was used from being collected."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Generator
from pathlib import Path

from assets_data.lineage.errors import StorageError
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.sealing import SHUT_IN


@contextlib.contextmanager
def lease(path: Path) -> Generator[bool, None, None]:
    """Hold an exclusive lock on ``path``; waits for another holder, and ends with the process however it dies. Says
    whether anybody held it before, who may have left something behind.
    """
    held = path.exists()
    try:
        with atomic.disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "ab")  # noqa: SIM115 - held open for as long as the lease is
    except StorageError:
        if not SHUT_IN:
            raise
        yield held  # the process that this one works for holds it
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held = held or os.fstat(file.fileno()).st_size > 0
        if not held:
            file.write(b"\n")  # for who waited meanwhile, and saw no file
            file.flush()
        yield held


def is_held(path: Path) -> bool:
    """Whether anybody holds the lease on ``path`` now, on whatever machine that locks this file system."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def in_use(root: Path, *, alone: bool = False) -> Generator[None, None, None]:
    """While snapshots are found and marked as used; ``alone``: nothing finds any meanwhile, so they may go.

    A store that cannot be written cannot be collected either, and needs no lock. Inside one that is held a thread takes
    no other: a look at thousands of snapshots takes it once.
    """
    held, path = _held.paths, os.path.join(root, "gc.lock")
    if path in held and not alone:
        yield
        return
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context(open(path, "ab"))
            fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            held.add(path)
            stack.callback(held.remove, path)
        yield


class _Held(threading.local):
    def __init__(self) -> None:
        self.paths = set[str]()


_held = _Held()


def mark_used(path: Path) -> None:
    """Note on a snapshot's directory that a run read or found it now: what was used lately is not collected."""
    with contextlib.suppress(OSError):
        os.utime(path)
