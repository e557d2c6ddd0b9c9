"""Trains runs in forked processes that talk over gloo: torch is imported once, see :mod:`tests.training.forks`.

A plan is phases joined by commas, one group of processes after the other in one directory: ``4`` is four processes,
``4k1u5`` four of which rank 1 kills itself (SIGKILL) after update 5, ``2s1u5`` two of which rank 1 stalls there, and
with ``p`` it kills itself as the others begin the next update's pass, with ``t`` it gets a SIGTERM there, with ``d`` no
file may grow in it from then on, with ``z`` it is stopped there until rank 0 has saved or waits for it, with ``n`` its
weights are made NaN. ``2f`` are two over which the model is cut, ``2b`` two that write checkpoints behind the run. What
follows ``@`` only tells plans apart. Prints ``PLAN STATUS...``, a status per process, of every phase.
"""

import json
import os
import re
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assets_data.lineage import StemmaError, with_overrides
from tests.training.forks import fork, import_as, status_of
from tests.training.kill_driver import prepare
from training.callbacks import Callback
from training.loop import train
from training.parallel.world import exit_status, joined

PHASE = re.compile(r"(?P<world>\d+)(?P<cut>f?)(?P<behind>b?)(?:(?P<kind>[kpstdzn])(?P<rank>\d+)u(?P<update>\d+))?")


SIGNALS = {"k": signal.SIGKILL, "t": signal.SIGTERM, "z": signal.SIGSTOP}


class Fault(Callback):
    def __init__(self, kind: str, update: int) -> None:
        self.kind, self.update = kind, update

    def step_begin(self, run) -> None:
        if run.update == self.update and self.kind == "p":  # the others are in a pass then
            os.kill(os.getpid(), signal.SIGKILL)

    def step_end(self, run) -> None:
        if run.update == self.update and self.kind != "p":
            if self.kind == "s":
                threading.Event().wait()
            if self.kind == "d":
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails with EFBIG
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            elif self.kind == "n":
                run.parameters[0].data.fill_(float("nan"))
            else:
                os.kill(os.getpid(), SIGNALS[self.kind])


def member(run: tuple[Any, Any, Any], directory: Path, rank: int, phase: re.Match, reduction: str) -> int:
    """What one process does; its exit status as that of the command."""
    size = int(phase["world"])
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size)}
    faults = [Fault(phase["kind"], int(phase["update"]))] if phase["rank"] == str(rank) else []
    try:
        with joined("fsdp" if phase["cut"] else None, reduction, behind=bool(phase["behind"])) as world:
            train(*run, directory, code="c", callbacks=faults, world=world)
    except StemmaError as error:
        print(error, file=sys.stderr)
        return exit_status(error)
    return 0


def in_children(run: Callable[[], tuple], directory: Path, phase: re.Match, reduction: str) -> list[int]:
    """Exit statuses by rank; negative: the signal that ended it."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    ranks = range(int(phase["world"]))
    children = [fork(lambda rank=rank: member(run(), directory, rank, phase, reduction)) for rank in ranks]
    if phase["kind"] == "z":
        await_the_others(children, directory, phase)
    return [status_of(child) for child in children]


def await_the_others(children: list[int], directory: Path, phase: re.Match) -> None:
    """Let the stopped process go on once rank 0 has saved without it or, where that takes its pieces, sleeps."""
    stopped, saved = children[int(phase["rank"])], directory / "checkpoints" / f"{int(phase['update']):08d}"
    os.waitpid(stopped, os.WUNTRACED)
    before, now = "", processor_time(children[0])
    while not saved.exists() and (before != now or not phase["cut"]):
        threading.Event().wait(0.5)
        before, now = now, processor_time(children[0])
    (directory / "seen").write_text(f"{saved.exists()}")
    os.kill(stopped, signal.SIGCONT)


def processor_time(pid: int) -> str:
    """Clock ticks that a process has run so far."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def main(name: str, root: Path, reduction: str, settings: str, *plans: str) -> None:
    print_to, sys.stdout = sys.stdout, sys.stderr

    def run() -> tuple:
        recipe, config, data = prepare(name, root / "data")
        return recipe, with_overrides(config, json.loads(settings)), data

    import_as(lambda: train(*run(), root / "warm", code="c"), root / "imported.json")
    for plan in plans:
        phases = [PHASE.fullmatch(phase.split("@")[0]) for phase in plan.split(",")]
        statuses = [in_children(run, root / plan, phase, reduction) for phase in phases if phase]
        print(plan, json.dumps(statuses), file=print_to, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
