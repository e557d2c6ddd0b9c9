"""Record to steps and step to batch at 100 million rows: agreement with replay on sampled pairs, and latency.

Replay is the definition: sort every epoch, cut it into batches. The sorted epochs are remembered on disk, as the
queries do; building them is measured apart.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from assets_data.lineage.identity.order import keyed_order, mix64
from assets_data.lineage.queries.remembered import Memory, SortedEpochs
from benchmarks.result import save
from training.order import Order


def agree(order: Order, keys: np.ndarray, seed: int, batch: int, epochs: int, pairs: int) -> int:
    """How many of ``pairs`` sampled (row, step) pairs the order and a replay of the epoch disagree on."""
    rng, wrong = np.random.default_rng(1), 0
    for epoch in range(epochs):
        replayed = keyed_order(seed, epoch, keys)
        place = np.empty(len(keys), np.int64)
        place[replayed] = np.arange(len(keys))
        for row in rng.integers(0, len(keys), pairs // epochs).tolist():
            wrong += int(order.rank(row, epoch) != place[row])
    return wrong


def agree_batches(order: Order, keys: np.ndarray, seed: int, batch: int, samples: int) -> int:
    """How many of ``samples`` steps of the first epoch hold other rows than a replay's."""
    replayed, rng = keyed_order(seed, 0, keys), np.random.default_rng(2)
    steps = rng.integers(0, len(keys) // batch, samples).tolist()
    return sum(not np.array_equal(order.batch(t)[0], replayed[t * batch : (t + 1) * batch]) for t in steps)


def latencies(order: Order, rows: int, updates: int, samples: int) -> dict[str, float]:
    """Milliseconds: median and 99th percentile of both questions."""
    rng, out = np.random.default_rng(3), {}
    questions = {
        "uses": lambda: list(order.uses(int(rng.integers(rows)), updates)),
        "batch": lambda: order.batch(int(rng.integers(updates))),
    }
    for name, ask in questions.items():
        ask()
        times = []
        for _ in range(samples):
            began = time.perf_counter()
            ask()
            times.append((time.perf_counter() - began) * 1e3)
        out |= {f"{name}_p50_ms": float(np.percentile(times, 50)), f"{name}_p99_ms": float(np.percentile(times, 99))}
    return out


def main() -> None:
    """Build, agree, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument(
        "--small-rows", type=int, default=1_000_000, help="rows of the run that the pairs are drawn from"
    )
    options = parser.parse_args()
    small = mix64(5, "benchmark", np.arange(options.small_rows))
    order = Order(7, small, options.batch)
    result: dict[str, object] = {
        "pairs": options.pairs,
        "pairs_wrong": agree(order, small, 7, options.batch, 4, options.pairs),
        "steps_wrong": agree_batches(order, small, 7, options.batch, 2000),
    }
    with tempfile.TemporaryDirectory() as folder:
        keys = mix64(5, "benchmark", np.arange(options.rows))
        began = time.perf_counter()
        large = Order(7, keys, options.batch, SortedEpochs(Memory(Path(folder), keep_from=0), "benchmark"))
        large.batch(0)
        result |= {"rows": options.rows, "index_s_per_epoch": round(time.perf_counter() - began, 2)}
        result |= latencies(large, options.rows, options.rows // options.batch, 1000)
    save("lineage_order", ["numpy"], result)


if __name__ == "__main__":
    main()
