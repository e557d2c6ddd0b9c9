"""The degree-corrected stochastic block model (Karrer and Newman 2011, arXiv:1008.3926), directed, with Zipf degrees.

Promises the draw order that makes a graph comparable with published walk-transformer runs: NumPy ``Generator(seed +
attempt)``, degree parameters block by block, then one uniform per ordered vertex pair. Up to ten attempts are made;
the first valid graph wins.
"""

from __future__ import annotations

import numpy as np

from assets_data.domains.text.walks.config import DcsbmGraph
from assets_data.domains.text.walks.graph import Graph, assemble, largest_component
from assets_data.lineage import DataError

ATTEMPTS = 10
MIN_EXPECTED_DEGREE = 3.0
DENSITY_SIGMAS = 2.0


def sample_dcsbm(config: DcsbmGraph, seed: int) -> tuple[Graph, int]:
    """The first valid graph of ten and the attempt that gave it. Unit weights, block(v) = v // (n / K).

    Raises DataError WALK_DCSBM_INVALID that says why each attempt failed.
    """
    refusals: list[str] = []
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng(seed + attempt)
        probability = edge_probabilities(config, rng)
        adjacency = rng.random(probability.shape) < probability
        reason = _refusal(config, probability, adjacency)
        if reason is None:
            source, target = np.nonzero(adjacency)
            graph, _ = assemble(config.n, source, target, np.ones(len(source), np.int64))
            return graph.with_blocks(_blocks(config)), attempt
        refusals.append(f"attempt {attempt}: {reason}")
    raise DataError(
        "WALK_DCSBM_INVALID",
        f"no valid graph in {ATTEMPTS} attempts: " + "; ".join(refusals),
        action="raise n, p_in or p_out",
    )


def edge_probabilities(config: DcsbmGraph, rng: np.random.Generator) -> np.ndarray:
    """P[i, j] = min(1, theta_i theta_j p) with p = p_in inside a block and p_out between, float64[n, n], diagonal 0.

    theta is 1 / rank with the ranks of each block shuffled, scaled to sum to the block's size.
    """
    size = config.n // config.blocks
    raw = np.concatenate([1.0 / rng.permutation(np.arange(1, size + 1)) for _ in range(config.blocks)])
    theta = raw * (size / np.sum(1.0 / np.arange(1, size + 1)))
    blocks = _blocks(config)
    base = np.where(blocks[:, None] == blocks[None, :], config.p_in, config.p_out)
    probability = np.clip(theta[:, None] * theta[None, :] * base, 0.0, 1.0)
    np.fill_diagonal(probability, 0.0)
    return probability


def _blocks(config: DcsbmGraph) -> np.ndarray:
    return np.arange(config.n) // (config.n // config.blocks)


def _refusal(config: DcsbmGraph, probability: np.ndarray, adjacency: np.ndarray) -> str | None:
    """Why a draw is not used, or None: expected degrees, block densities, strong connectivity; cheapest first."""
    lowest = probability.sum(axis=1).min()
    if lowest < MIN_EXPECTED_DEGREE:
        return f"lowest expected out-degree {lowest:.2f} < {MIN_EXPECTED_DEGREE:g}"
    size, k = config.n // config.blocks, config.blocks
    for a, b in np.ndindex(k, k):
        block = np.s_[a * size : (a + 1) * size, b * size : (b + 1) * size]
        pairs = size * (size - 1) if a == b else size * size
        expected, observed = probability[block].sum() / pairs, adjacency[block].sum() / pairs
        if abs(observed - expected) > DENSITY_SIGMAS * np.sqrt(expected * (1 - expected) / pairs):
            return f"density of blocks {a}->{b} is {observed:.4f}, expected {expected:.4f}"
    reached = len(largest_component(config.n, *np.nonzero(adjacency)))
    return None if reached == config.n else f"largest strongly connected component has {reached} of {config.n} vertices"
