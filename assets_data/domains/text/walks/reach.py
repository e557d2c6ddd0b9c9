"""Reach probabilities: the chance, under the free walk, of standing in a block some steps from now.

Fixed point: an integer q stands for the probability q / 2**30. Integer sums do not depend on their order, so the
tables, and every walk drawn from them, are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from assets_data.domains.text.walks.draw import BITS
from assets_data.domains.text.walks.graph import Graph

ONE = 1 << BITS


def iter_reach(graph: Graph) -> Iterator[np.ndarray]:
    """Tables uint32[K, n] for 0, 1, 2, ... steps, without end: entry [b, v] is P(block of X_s is b | X_0 = v).

    One step costs K * E multiply-adds. Each step rounds down, so a column sums to slightly less than one.
    """
    strengths = graph.strengths.astype(np.uint64)
    weights = graph.weights.astype(np.uint64)
    reach = np.where(np.arange(graph.n_blocks)[:, None] == graph.blocks[None, :], ONE, 0).astype(np.uint32)
    while True:
        yield reach
        rows = [np.add.reduceat(weights * row[graph.targets], graph.offsets[:-1]) // strengths for row in reach]
        reach = np.stack(rows).astype(np.uint32)


def relative(reach: np.ndarray) -> np.ndarray:
    """Reach tables uint32[S, K, n] scaled so that the best vertex of each step and block has probability one.

    Only ratios between vertices matter to a draw; scaled, they keep the most bits and refuse the fewest proposals.
    """
    best = reach.max(axis=2, keepdims=True).astype(np.uint64)
    return (reach.astype(np.uint64) * ONE // np.maximum(best, 1)).astype(np.uint32)


def stationary(graph: Graph, steps: int = 256) -> np.ndarray:
    """The share of its time a free walk spends at each vertex, float64[n]: steps ``steps`` / 2 .. ``steps`` of a walk
    that starts anywhere. For choosing jumpers and for people; no walk is drawn from it.
    """
    share = graph.weights / np.repeat(graph.strengths, graph.degrees)
    here = np.full(graph.n_vertices, 1.0 / graph.n_vertices)
    total = np.zeros_like(here)
    for step in range(steps):
        here = np.bincount(graph.targets, weights=share * here[graph.sources], minlength=graph.n_vertices)
        total += here if step >= steps // 2 else 0.0
    return total / (steps - steps // 2)
