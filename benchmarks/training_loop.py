"""Updates per second of the loop against a bare PyTorch loop, nanoGPT's shape, Lightning and Hugging Face's Trainer.

The same model from the same seed, the same batches in the same order, optimizer, clipping and threads, in turn in one
process, several rounds, each round beginning with another one; compared are the seconds within a round. Stemma's loop
writes checkpoints, metrics and digests; the peers write nothing and log nothing. A peer that is not installed is left
out and named. ``python -m benchmarks.training_loop [updates]``.
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
from dataclasses import replace
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

ROUNDS = 12


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


def measure(config: WalkLmConfig, data: MadeUpRows) -> dict[str, dict[str, list[float]]]:
    """Seconds of every contender that is installed, round by round: of the clock, and of the processor."""
    present = {name: run for name, (package, run) in CONTENDERS.items() if importlib.util.find_spec(package)}
    seconds: dict[str, dict[str, list[float]]] = {"wall": {n: [] for n in present}, "cpu": {n: [] for n in present}}
    with reproducible(config.train):
        warm_up = replace(config, train=replace(config.train, updates=8, checkpoint_every=4))
        for run in present.values():
            run(warm_up, data)
        for number, place in itertools.product(range(ROUNDS), range(len(present))):
            name = list(present)[(number + place) % len(present)]
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            present[name](config, data)
            seconds["wall"][name].append(time.perf_counter() - wall)
            seconds["cpu"][name].append(time.process_time() - cpu)
    return seconds


def over_stemma(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Of every peer's seconds over Stemma's in the same round: the median and the quartiles."""
    rounds = {name: np.divide(taken, seconds["stemma"]) for name, taken in seconds.items() if name != "stemma"}
    names, shares = ("lower_quartile", "median", "upper_quartile"), (0.25, 0.5, 0.75)
    return {
        peer: {name: round(float(np.quantile(ratios, share)), 4) for name, share in zip(names, shares, strict=True)}
        for peer, ratios in rounds.items()
    }


def main(updates: int) -> None:
    """Measure every contender in turn and save."""
    logging.disable(logging.WARNING)
    config = make_config(updates)
    seconds = measure(config, MadeUpRows(config.model.context + 1))
    figures = {
        "model": {"preset": "demo", "parameters": sum(p.numel() for p in make_model(config).parameters())},
        "updates": updates,
        "rounds": ROUNDS,
        "threads": config.train.threads,
        "checkpoints_written_by_stemma": -(-updates // config.train.checkpoint_every),
        "updates_per_s": {name: round(updates / float(np.median(t)), 2) for name, t in seconds["wall"].items()},
        "wall_seconds_over_stemma": over_stemma(seconds["wall"]),
        "cpu_seconds_over_stemma": over_stemma(seconds["cpu"]),
        "absent": sorted(set(CONTENDERS) - set(seconds["wall"])),
    }
    packages = ["torch", "numpy", *(p for p in ("lightning", "transformers") if importlib.util.find_spec(p))]
    save("training_loop", packages, figures)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
