"""Children of a process that has no threads: what a thread held when it was forked, nobody gives back in the child.

Torch's OpenMP and autograd and Arrow's pool have threads as soon as they are used, so the parent imports them and uses
none: all that trains or reads data does it in a child.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path


def fork(act: Callable[[], int | None]) -> int:
    """The id of a child that does ``act`` and exits with what it returns. AssertionError where there are threads."""
    assert not (found := threads()), f"this process has threads besides its own: {found}"
    if (child := os.fork()) == 0:
        status = act() or 0
        sys.stderr.flush()
        os._exit(status)
    return child


def status_of(child: int) -> int:
    """Its exit status, once it ended; negative: the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def import_as(act: Callable[[], object], note: Path) -> None:
    """Do ``act`` in a child and import here all that it imported there, so that later children need not."""

    def noted() -> None:
        act()
        note.write_text(json.dumps(list(sys.modules)))

    assert status_of(fork(noted)) == 0
    for name in json.loads(note.read_text()):
        with contextlib.suppress(ImportError):  # made by its parent, under a name of its own
            importlib.import_module(name)


def threads() -> list[str]:
    """The names of this process's other threads. jemalloc's own has handlers for forks."""
    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    return [name for task in tasks if (name := (task / "comm").read_text().strip()) != "jemalloc_bg_thd"]
