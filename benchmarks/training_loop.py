"""What an update costs in Stemma's loop, a bare PyTorch loop, nanoGPT's shape, Lightning and Hugging Face's Trainer.

The same model from the same seed, the same batches in the same order, optimizer, clipping and threads, in one process,
an update of each in turn (``benchmarks.turns``) from one heap and on one core, several rounds.
Summed are the updates after the first, so that what a run costs once does not count, in seconds of the clock and of the
processor. Stemma's loop writes metrics, timings and the digest of the order meanwhile; the updates after which it
writes a checkpoint are left out of all sums, and what a checkpoint costs is told apart. The peers write nothing and log
nothing. A peer that is not installed is left out and named.

    python -m benchmarks.training_loop [first last]
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result import save
from benchmarks.training_peers import (
    RECIPE,
    MadeUpRows,
    make_config,
    make_model,
    run_bare,
    run_hugging_face,
    run_lightning,
    run_nanogpt,
)
from benchmarks.turns import Turns, stay_on_one_core
from training.environment import reproducible
from training.loop import train
from training.recipes.walk_lm.config import WalkLmConfig

ROUNDS, FIRST, LAST, CHECKPOINTS = 5, 20, 420, 50
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 32)}
"""One heap for all threads, which keeps what it has: else a contender pays for pages by the thread that it got."""


class Unmeasured(type(RECIPE)):
    """walk_lm without its held-out decoding, which no peer does."""

    def monitor(self, model: Any, data: Any, config: Any) -> dict[str, float]:
        """Nothing."""
        return {}


def run_stemma(config: WalkLmConfig, data: MadeUpRows) -> None:
    """The loop with checkpoints, retention, metrics, timings and the digest of the order."""
    with tempfile.TemporaryDirectory() as folder:
        train(Unmeasured(), config, data, Path(folder), code="benchmark")  # type: ignore[arg-type]


CONTENDERS: dict[str, tuple[str, Callable[[WalkLmConfig, MadeUpRows], None]]] = {
    "stemma": ("torch", run_stemma),
    "bare_pytorch": ("torch", run_bare),
    "nanogpt_shape": ("torch", run_nanogpt),
    "lightning": ("lightning", run_lightning),
    "hugging_face": ("accelerate", run_hugging_face),
}


class InTurn(MadeUpRows):
    """Rows that a contender waits for until it is its turn: it asks once an update."""

    def __init__(self, row_length: int, turns: Turns) -> None:
        super().__init__(row_length)
        self._turns = turns

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """int64[B, row_length]."""
        self._turns.edge()
        return super().rows(rows)


def measure(first: int, last: int) -> list[dict[str, np.ndarray]]:
    """By round: of each contender that is installed what every update took, float64[last - first, 2] seconds of the
    clock and of the processor.
    """
    present = [(name, run) for name, (package, run) in CONTENDERS.items() if importlib.util.find_spec(package)]
    config, found = make_config(last + 2, CHECKPOINTS), list[dict[str, np.ndarray]]()
    with reproducible(config.train):
        for number in range(ROUNDS):
            turns = Turns(config.train.threads or 1, seed=number)
            data = InTurn(config.model.context + 1, turns)
            took = turns.run({name: partial(run, config, data) for name, run in present})
            found.append({name: took[name][first:last] for name, _ in present})
    return found


def main(first: int, last: int, on_one_core: bool) -> None:
    """Measure every contender in turn and save."""
    logging.disable(logging.WARNING)
    config, rounds = make_config(last), measure(first, last)
    saves = (np.arange(first, last) + 1) % CHECKPOINTS == 0
    cost = {name: np.array([one[name][~saves].mean(0) for one in rounds]) for name in rounds[0]}
    own = np.concatenate([one["stemma"][saves, 0] - np.median(one["stemma"][~saves, 0]) for one in rounds])
    figures = {
        "model": {"preset": "demo", "parameters": sum(p.numel() for p in make_model(config).parameters())},
        "updates": [first, last],
        "rounds": ROUNDS,
        "threads": config.train.threads,
        "on_one_core": on_one_core,
        "ms_per_update": {name: round(1000 * float(np.median(taken[:, 0])), 3) for name, taken in cost.items()},
        **{
            f"stemma_over{clock}": {
                name: _spread(cost["stemma"][:, place] / taken[:, place])
                for name, taken in cost.items()
                if name != "stemma"
            }
            for place, clock in enumerate(("", "_processor"))
        },
        "checkpoint_ms": round(1000 * float(np.median(own)), 1),
        "absent": sorted(set(CONTENDERS) - set(cost)),
    }
    packages = ["torch", "numpy", *(p for p in ("lightning", "transformers") if importlib.util.find_spec(p))]
    save("training_loop", packages, figures)


def _spread(ratios: np.ndarray) -> dict[str, Any]:
    return {"median": round(float(np.median(ratios)), 4), "rounds": ratios.round(4).tolist()}


if __name__ == "__main__":
    alone = stay_on_one_core()
    if ALLOCATOR.items() - os.environ.items():
        again = [sys.executable, "-m", "benchmarks.training_loop", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | ALLOCATOR)
    begin, end = map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (FIRST, LAST)
    main(begin, end, alone)
