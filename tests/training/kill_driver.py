"""Trains the toy run in forked children that kill themselves (SIGKILL) at chosen moments, and runs them again.

A process of its own, so that torch is imported once and forked before it has any thread. A moment is an update
(``u5``) or the n-th time anything is opened, renamed, removed or made below the run directory (``e17``).
"""

import os
import signal
import sys
from pathlib import Path

from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.loop import train

WATCHED = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree"}


class KillAt(Callback):
    def __init__(self, update: int) -> None:
        self.update = update

    def step_end(self, run) -> None:
        if run.update == self.update:
            os.kill(os.getpid(), signal.SIGKILL)


def train_once(directory: Path, moment: str | None) -> int:
    """Returns the number of watched file-system events."""
    events, deadline = 0, int(moment[1:]) if moment and moment[0] == "e" else -1

    def count(name: str, arguments: tuple) -> None:
        nonlocal events
        if name in WATCHED and str(directory) in str(arguments[0]):
            events += 1
            if events == deadline:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    callbacks = [KillAt(int(moment[1:]))] if moment and moment[0] == "u" else []
    train(ToyRecipe(), toy_config(), toy_data(), directory, code="c", callbacks=callbacks)
    return events


def in_child(directory: Path, moment: str | None) -> int:
    """The child's exit status (negative: the signal that ended it); the events it counted go to ``events``."""
    child = os.fork()
    if child == 0:
        events = train_once(directory, moment)
        directory.with_suffix(".events").write_text(str(events))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(root: Path, *plans: str) -> None:
    """Each plan is moments joined by commas, one process after the other; a last undisturbed one finishes the run."""
    print_to, sys.stdout = sys.stdout, sys.stderr
    train(ToyRecipe(), toy_config(), toy_data(), root / "warm", code="c")  # torch imports half of itself on first use
    for plan in plans:
        killed = [in_child(root / plan, moment) for moment in plan.split(",") if moment != "none"]
        print(plan, *killed, in_child(root / plan, None), file=print_to)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
