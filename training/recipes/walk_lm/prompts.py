"""The gate's prompts: which held-out prefixes, chosen how. Pure NumPy; a prompt set is a table in the preflight report.

``trigger`` prompts decide: distinct held-out prefixes of one length that end on a jumper whose deadline lies inside the
walk. ``start`` prompts are the first vertices of held-out walks; they are few and greedy walks from them fall into
short cycles, so they are reported only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from assets_data.domains.text.walks.read import Rule, WalkGraph
from assets_data.lineage import mix64


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """N prompts of P vertices, and the index of the rule each ends on."""

    tokens_NP: np.ndarray
    rule_N: np.ndarray

    def table(self) -> pa.Table:
        """As an Arrow table, one row per prompt."""
        flat = pa.array(self.tokens_NP.astype(np.uint32).ravel())
        tokens = pa.FixedSizeListArray.from_arrays(flat, self.tokens_NP.shape[1])
        return pa.table({"rule": self.rule_N.astype(np.uint32), "tokens": tokens})


def read_prompts(table: pa.Table) -> Prompts:
    """The inverse of :meth:`Prompts.table`."""
    column = table["tokens"].combine_chunks()
    tokens = column.flatten().to_numpy().astype(np.int64).reshape(len(column), column.type.list_size)
    return Prompts(tokens, table["rule"].to_numpy().astype(np.int64))


def trigger_prompts(
    walks_NL: np.ndarray, walk_keys_N: np.ndarray, graph: WalkGraph, length: int, counts: tuple[int, int], seed: int
) -> tuple[Prompts, Prompts]:
    """Two disjoint sets of up to ``counts`` distinct prompts per rule, in an order keyed by (seed, walk, position).

    A prompt is the ``length`` vertices up to and including the jumper.
    """
    chosen: list[tuple[np.ndarray, np.ndarray]] = []
    for rule in graph.rules:
        distinct = _distinct_prompts(walks_NL, walk_keys_N, rule, length, seed)[: sum(counts)]
        chosen.append((distinct[: counts[0]], distinct[counts[0] :]))
    first, second = (Prompts(np.concatenate(parts), _indices(parts)) for parts in zip(*chosen, strict=True))
    return first, second


def start_prompts(walks_NL: np.ndarray, count: int) -> np.ndarray:
    """int64[<= count]: the first vertex of the first walks, repeats and all."""
    return walks_NL[:count, 0].astype(np.int64)


def _distinct_prompts(walks_NL: np.ndarray, keys_N: np.ndarray, rule: Rule, length: int, seed: int) -> np.ndarray:
    """int64[n, length]: every different prompt for one rule, in keyed order; none where walks are too short."""
    if walks_NL.shape[1] < length:
        return np.empty((0, length), np.int64)
    last = walks_NL.shape[1] - rule.r  # a jumper at t < last has its deadline inside the walk
    walk, t = np.nonzero(walks_NL[:, length - 1 : max(last, length - 1)] == rule.vertex)
    windows = np.lib.stride_tricks.sliding_window_view(walks_NL, length, axis=1)
    rank = np.argsort(
        mix64(seed, f"prompts/{rule.vertex}", mix64(0, "position", t.astype(np.uint64)) ^ keys_N[walk]), kind="stable"
    )
    candidates = windows[walk[rank], t[rank]].astype(np.int64)
    _, first = np.unique(candidates, axis=0, return_index=True)
    return candidates[np.sort(first)]


def _indices(parts: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])
