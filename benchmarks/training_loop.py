"""What an update costs in Stemma's loop, a bare PyTorch loop, nanoGPT's shape, Lightning and Hugging Face's Trainer.

The same model from the same seed, the same batches in the same order, optimizer, clipping and threads, in turn in one
process, several rounds, each round beginning with another one. Each runs a short and a long training per round; an
update's cost is the slope between them, so that what a run costs once (start, the last checkpoint) does not count.
Stemma's loop writes metrics, timings and the digest of the order meanwhile; what one more checkpoint costs it is told
apart. The peers write nothing and log nothing. A peer that is not installed is left out and named.

    python -m benchmarks.training_loop [short long]
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import logging
import sys
import tempfile
import time
from collections.abc import Callable
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
from training.environment import reproducible
from training.loop import train
from training.recipes.walk_lm.config import WalkLmConfig

ROUNDS, SHORT, LONG = 5, 20, 220
ONE_MORE = "stemma_one_more_checkpoint"


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


def measure(short: int, long: int) -> dict[str, list[float]]:
    """Per contender that is installed, by round: seconds per update between ``short`` and ``long`` updates; and what
    one more checkpoint costs Stemma.
    """
    present = {name: run for name, (package, run) in CONTENDERS.items() if importlib.util.find_spec(package)}
    config, found = make_config(short), {name: list[float]() for name in (*present, ONE_MORE)}
    data = MadeUpRows(config.model.context + 1)
    with reproducible(config.train):
        for run in present.values():
            run(make_config(8, 4), data)
        for number, place in itertools.product(range(ROUNDS), range(len(present))):
            name = list(present)[(number + place) % len(present)]
            took = [_seconds(present[name], make_config(updates, updates), data) for updates in (short, long)]
            found[name].append((took[1] - took[0]) / (long - short))
            if name == "stemma":
                found[ONE_MORE].append(_seconds(run_stemma, make_config(short), data) - took[0])
    return found


def _seconds(run: Callable[[WalkLmConfig, MadeUpRows], None], config: WalkLmConfig, data: MadeUpRows) -> float:
    gc.collect()
    began = time.perf_counter()
    run(config, data)
    return time.perf_counter() - began


def main(short: int, long: int) -> None:
    """Measure every contender in turn and save."""
    logging.disable(logging.WARNING)
    config, found = make_config(short), measure(short, long)
    one_more = found.pop(ONE_MORE)
    over = {name: np.divide(found["stemma"], taken) for name, taken in found.items() if name != "stemma"}
    figures = {
        "model": {"preset": "demo", "parameters": sum(p.numel() for p in make_model(config).parameters())},
        "updates": [short, long],
        "rounds": ROUNDS,
        "threads": config.train.threads,
        "ms_per_update": {name: round(1000 * float(np.median(taken)), 3) for name, taken in found.items()},
        "stemma_over": {
            name: {"median": round(float(np.median(ratios)), 4), "rounds": ratios.round(4).tolist()}
            for name, ratios in over.items()
        },
        "one_more_checkpoint_ms": round(1000 * float(np.median(one_more)), 1),
        "absent": sorted(set(CONTENDERS) - set(found)),
    }
    packages = ["torch", "numpy", *(p for p in ("lightning", "transformers") if importlib.util.find_spec(p))]
    save("training_loop", packages, figures)


if __name__ == "__main__":
    main(*(map(int, sys.argv[1:]) if len(sys.argv) > 2 else (SHORT, LONG)))
