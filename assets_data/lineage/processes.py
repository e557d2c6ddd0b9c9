"""Which process is which, by Linux's proc(5) and prctl(2): ids are used again, boot and moment of the start are not."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

PROC = Path("/proc")
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def boot_id() -> str:
    """Of this start of the machine; empty where there is no proc."""
    path = PROC / "sys/kernel/random/boot_id"
    return path.read_text().strip() if path.is_file() else ""


def started(pid: int) -> str:
    """When a process was started, in clock ticks since the boot; empty for one that ended or where no proc is."""
    state, *fields = _stat(pid)
    return "" if state in "ZX" else fields[18]


def parent_of(pid: int) -> int | None:
    """The process that a process is below now; None for one that is gone."""
    fields = _stat(pid)
    return int(fields[1]) if len(fields) > 1 else None


def end_with_parent(signal: int) -> None:
    """Ask the kernel for a signal when the thread that started this process ends. Raises OSError where it refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_DEATH_SIGNAL, signal, 0, 0, 0) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _stat(pid: int) -> list[str]:
    """State and what follows it; X alone for no process. The name before them may hold anything."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X"]
