"""`stemma status` against full recompute on random graphs: false fresh, false stale, by kind of change.

Stock Dagster's own word on the first of the same graphs stands beside.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from typing import Any

from assets_data.lineage.queries.freshness import judge
from benchmarks.lineage_worlds import change, make_world, rates, tally
from benchmarks.result import save
from benchmarks.stock_staleness import StockDagster


def compare(graphs: int, most_slices: int, seed: int = 0, stock_graphs: int = 0) -> dict[str, Any]:
    """Counts and rates over every name of every graph; of stock Dagster's over those of the first ``stock_graphs``."""
    rng, counts = random.Random(seed), Counter[str]()
    stock = StockDagster(most_slices) if stock_graphs else None
    for number in range(graphs):
        slices = max(1, int(most_slices ** rng.random()))
        world = make_world(rng, slices)
        kinds = [change(world, rng) for _ in range(rng.randint(1, 3))]
        truth = world.recomputed()
        standings = judge(world.receipts, world.expectations())
        counts.update(tally({name: standing.fresh for name, standing in standings.items()}, truth))
        counts.update(f"change {kind}" for kind in kinds)
        if stock and number < stock_graphs:
            stock.add(world, truth, standings)
    figures = {"graphs": graphs, "most_slices": most_slices, **counts, **rates(counts)}
    return figures | ({"stock_dagster": stock.figures()} if stock else {})


def main() -> None:
    """Compare and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=10_000)
    parser.add_argument("--slices", type=int, default=1000, help="most slices of a graph; drawn evenly by magnitude")
    parser.add_argument("--stock-graphs", type=int, default=200, help="the first of them, given to Dagster too")
    options = parser.parse_args()
    save(
        "lineage_status",
        ["dagster", "rfc8785"],
        compare(options.graphs, options.slices, stock_graphs=options.stock_graphs),
    )


if __name__ == "__main__":
    main()
