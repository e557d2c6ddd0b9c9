"""What lanes and exact sums cost: Stemma's loop on two processes against a bare DDP loop, and on one by lanes.

The model and batch of ``training_loop`` (walk_lm's demo), the same rows, optimizer, clipping and one thread a process,
in turn, several rounds, each round beginning with another one. Compared within a round is what an update costs, as the
slope between a short and a long training (what a run costs once, its one checkpoint among it, does not count): in
seconds of the clock, and of the processors by all processes together, which mean something on a machine that others
use as well. On two processes each takes half of a batch; on one process rank 0 works alone while rank 1 waits. Stemma's
loop writes metrics and digests; the bare loops write nothing. Everything is as it is by default, batches made ahead by
a thread on two processes among it; ``not_ahead`` makes none ahead, and ``ahead_behind`` also writes checkpoints behind
the run.

    python -m benchmarks.parallel [short long]
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.result import save
from benchmarks.training_loop import Unmeasured
from benchmarks.training_peers import MadeUpRows, batches, make_config, make_model, make_optimizer, next_token_loss
from training.environment import reproducible
from training.loop import train
from training.parallel.world import ALONE, World, joined
from training.recipes.walk_lm.config import WalkLmConfig

ROUNDS, PROCESSES, SHORT, LONG = 9, 2, 10, 90
Contender = Callable[[WalkLmConfig, MadeUpRows, World], None]
Lengths = tuple[int, int]


def run_bare(config: WalkLmConfig, data: MadeUpRows, world: World) -> None:
    """Forward, backward, clip, step; in a world of several processes torch's DDP as its tutorial has it."""
    model = make_model(config).train()
    replica = nn.parallel.DistributedDataParallel(model) if world.size > 1 else model
    optimizer = make_optimizer(model, config)
    for tokens_BT in batches(config, data):
        next_token_loss(replica, tokens_BT.chunk(world.size)[world.rank]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def stemma(lanes: int, **how: Any) -> Contender:
    """Stemma's loop with so many lanes; ``how`` are further facts of the world."""

    def run(config: WalkLmConfig, data: MadeUpRows, world: World) -> None:
        changed = replace(config, train=replace(config.train, lanes=lanes))
        given = replace(world, **how)
        with tempfile.TemporaryDirectory() as folder:
            shared = Path(world.tell(folder))  # rank 0's
            train(Unmeasured(), changed, data, shared, code="benchmark", world=given)  # type: ignore[arg-type]
            world.any(False)  # none leaves while another is still in rank 0's folder

    return run


TOGETHER: dict[str, Contender] = {
    "bare_ddp": run_bare,
    "lanes_2_exact": stemma(2),
    "lanes_2_not_ahead": stemma(2, ahead=0),
    "lanes_4_exact": stemma(4),
    "lanes_2_fast": stemma(2, reduction="fast"),
    "lanes_2_fsdp": stemma(2, strategy="fsdp"),
    "lanes_2_ahead_behind": stemma(2, ahead=2, behind=True),
}
BY_ITSELF: dict[str, Contender] = {"bare": run_bare, "lanes_1": stemma(1), "lanes_2": stemma(2), "lanes_4": stemma(4)}
BY_ITSELF["lanes_1_ahead_behind"] = stemma(1, ahead=2, behind=True)


def measure(contenders: dict[str, Contender], lengths: Lengths, data: MadeUpRows, world: World) -> dict:
    """Seconds per update of every contender, round by round: of the clock, and of the processors."""
    found = {kind: {name: list[float]() for name in contenders} for kind in ("wall", "cpu")}
    for run in contenders.values():
        run(_plan(4), data, world)
    for number, place in itertools.product(range(ROUNDS), range(len(contenders))):
        name = list(contenders)[(number + place) % len(contenders)]
        short, long = (_took(contenders[name], _plan(updates), data, world) for updates in lengths)
        for kind, seconds in zip(found, long - short, strict=True):
            found[kind][name].append(float(seconds) / (lengths[1] - lengths[0]))
    return found


def _plan(updates: int) -> WalkLmConfig:
    config = make_config(updates, updates)
    return replace(config, train=replace(config.train, threads=1))


def _took(run: Contender, config: WalkLmConfig, data: MadeUpRows, world: World) -> np.ndarray:
    """Seconds of the clock, and of the processors by all processes."""
    world.any(False)
    begun, used = time.perf_counter(), time.process_time()
    run(config, data, world)
    own = torch.tensor([time.process_time() - used], dtype=torch.float64)
    return np.array([time.perf_counter() - begun, float(world.sum([own])[0])])


def compared(seconds: dict[str, dict[str, list[float]]], floor: str) -> dict:
    """Updates per second, and of every contender's seconds over the floor's in the same round the quartiles."""
    rates = {name: round(1 / float(np.median(taken)), 2) for name, taken in seconds["wall"].items()}
    names = {"wall": f"seconds_over_{floor}", "cpu": f"processor_seconds_over_{floor}"}
    return {"updates_per_s": rates, **{names[kind]: ratios(taken, floor) for kind, taken in seconds.items()}}


def ratios(seconds: dict[str, list[float]], floor: str) -> dict[str, dict[str, float]]:
    """Quartiles over the rounds of each contender's seconds over the floor's."""
    names, shares = ("lower_quartile", "median", "upper_quartile"), (0.25, 0.5, 0.75)
    over = {name: np.divide(taken, seconds[floor]) for name, taken in seconds.items() if name != floor}
    return {
        name: {label: round(float(np.quantile(ratio, share)), 4) for label, share in zip(names, shares, strict=True)}
        for name, ratio in over.items()
    }


def main(lengths: Lengths) -> None:
    """Measure in every process; rank 0 saves."""
    logging.disable(logging.WARNING)
    config = _plan(lengths[0])
    data = MadeUpRows(config.model.context + 1)
    with joined() as world, reproducible(config.train), contextlib.redirect_stdout(sys.stderr):
        torch.set_num_threads(1)
        together = measure(TOGETHER, lengths, data, world)
        alone = measure(BY_ITSELF, lengths, data, ALONE) if world.leads else {}
        world.any(False)
    if world.leads:
        figures = {
            "model": {"preset": "demo", "parameters": sum(p.numel() for p in make_model(config).parameters())},
            "updates": list(lengths),
            "rounds": ROUNDS,
            "two_processes": compared(together, "bare_ddp"),
            "one_process": compared(alone, "bare"),
        }
        save("parallel", ["torch", "numpy"], figures)


if __name__ == "__main__":
    if "WORLD_SIZE" in os.environ:
        main((int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (SHORT, LONG))
    else:
        launcher = ["torch.distributed.run", "--nproc-per-node", str(PROCESSES), "-m", "benchmarks.parallel"]
        sys.exit(subprocess.run([sys.executable, "-m", *launcher, *sys.argv[1:]]).returncode)
