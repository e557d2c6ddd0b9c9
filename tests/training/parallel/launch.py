"""Starts processes and waits for them; they end by themselves, or a timeout ends them."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from training.checkpoint import load_tensors, read_state, stored, tensor_bytes

ROOT = Path(__file__).parents[3]


def launch(processes: int, module: str, *arguments: object) -> subprocess.CompletedProcess:
    """``module`` in so many processes of torch's own launcher, or for one of them in a plain process."""
    torchrun = ["torch.distributed.run", "--nproc-per-node", processes, "--rdzv-backend", "c10d"]
    starter = [*torchrun, "--rdzv-endpoint", "localhost:0", "-m"] if processes > 1 else []
    return _run(*starter, module, *arguments)


def drive(root: Path, plans: list[str], recipe="toy", reduction="exact", **settings) -> dict[str, list[list[int]]]:
    """Exit statuses of every phase of every plan, see :mod:`tests.training.parallel.forked`."""
    fields = json.dumps({"train.lanes": 4, **{f"train.{name}": value for name, value in settings.items()}})
    done = _run("tests.training.parallel.forked", recipe, root, reduction, fields, *plans)
    assert done.returncode == 0, done.stderr
    lines = (line.split(" ", 1) for line in done.stdout.splitlines())
    return {plan: json.loads(statuses) for plan, statuses in lines}


def last_state(folder: Path) -> dict[str, Any]:
    return read_state(stored(folder / "checkpoints")[-1])


def outcome(folder: Path) -> dict[str, Any]:
    """All that must be bit-equal, in however many files it lies: weights, optimizer, generators, history, cursor."""
    state = last_state(folder)
    parts = load_tensors(stored(folder / "checkpoints")[-1], state)
    tensors = {
        f"{part}/{name}": [*tensor.shape, hashlib.sha256(tensor_bytes(tensor).data).hexdigest()]
        for part, kept in parts.items()
        for name, tensor in kept.items()
    }
    history = hashlib.sha256((folder / "metrics.jsonl").read_bytes()).hexdigest()
    others = ("checkpoint_id", "update", "inexact", "optimizer", "rows_digest", "history", "callbacks")
    return {**tensors, "metrics": history, **{name: state[name] for name in others}}


def _run(*command: object) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", *map(str, command)]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
