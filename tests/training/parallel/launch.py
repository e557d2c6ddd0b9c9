"""Starts processes with torch's own launcher and waits for them; they end by themselves or are ended by its timeout."""

import os
import subprocess
import sys
from pathlib import Path

from training.checkpoint import read_state, stored

ROOT = Path(__file__).parents[3]


def launch(processes: int, module: str, *arguments: object) -> subprocess.CompletedProcess:
    """``module`` in so many processes, or for one of them in a plain process."""
    torchrun = ["torch.distributed.run", "--nproc-per-node", str(processes), "--rdzv-backend", "c10d"]
    starter = [*torchrun, "--rdzv-endpoint", "localhost:0", "-m"] if processes > 1 else []
    command = [sys.executable, "-m", *starter, module, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180)


def last_state(folder: Path) -> dict:
    return read_state(stored(folder / "checkpoints")[-1])
