"""Jobs of SLURM, by its own commands. Partition, account, GPUs and limits are for sbatch's variables (SBATCH_*)."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from assets_data.lineage import TrainingError
from training.launch.handle import JOB, LOG
from training.launch.launcher import GRACE_S, KILLED_S, Place, command, gone

THERE = ["PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING"]
"""States of squeue(1) that others come after."""


class Slurm:
    """The agent as a batch script on one node, with a CPU for each process."""

    poll_s = 2.0

    def start(self, run: Path, processes: int, environment: Mapping[str, str]) -> Place:
        """The node has this process's variables, and ``environment``."""
        shape = [f"--job-name={run.name}", "--nodes=1", "--ntasks=1", f"--cpus-per-task={processes}", "--no-requeue"]
        log = ["--output", str(run / JOB / LOG), "--open-mode=append"]
        script = f"exec {shlex.join(command(run))}"
        said = _ask("sbatch", "--parsable", *shape, *log, "--wrap", script, environment=environment)
        return Place(name=said.partition(";")[0])  # sbatch says ID or ID;CLUSTER

    def alive(self, place: Place) -> bool:
        """A job that ended is listed for a while (MinJobAge), and then unknown."""
        try:
            state = _ask("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={place.name}")
            return state in THERE
        except TrainingError as error:
            if "Invalid job id" in str(error):
                return False
            raise

    def end(self, place: Place) -> None:
        """SIGTERM to the batch script alone, which is the agent; a job that still waits is taken from the queue."""
        _ask("scancel", "--state=PENDING", place.name)
        _ask("scancel", "--batch", "--signal=TERM", place.name)
        if not gone(lambda: self.alive(place), GRACE_S, 0.5):
            _ask("scancel", "--full", "--signal=KILL", place.name)
            gone(lambda: self.alive(place), KILLED_S, 0.5)


SLURM = Slurm()


def _ask(program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a command of SLURM says. Raises TrainingError JOB_UNREACHED."""
    try:
        done = subprocess.run(
            [program, *arguments], env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=30
        )
        said = "" if done.returncode == 0 else done.stderr.strip() or f"status {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if said:
        action = "are SLURM's commands there, and its controller up? a job that was started goes on"
        raise TrainingError("JOB_UNREACHED", f"SLURM does not answer: {said}", where=program, action=action)
    return done.stdout.strip()
