"""Counting what a corpus does: edges it may not take, rules it met and kept, the ways it kept them.

Knows nothing of how walks are drawn. Whole batches at a time; what it keeps does not grow with the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assets_data.domains.text.walks.graph import Graph
from assets_data.domains.text.walks.rules import Rule
from assets_data.lineage import DataError
from assets_data.lineage.identity.sorted_sets import found_in

MIN_JUMPER_FRACTION = 0.5
MIN_PATHS = 3
PATHS_COUNTED = 64
TABLE_VERTICES = 1 << 13
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that every power has an inverse modulo 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One rule: encounters whose deadline lies inside the walk, those kept, and different r-step paths that kept it
    (counted up to PATHS_COUNTED).
    """

    encounters: int
    kept: int
    paths: int


class Census:
    """Running counts over batches of walks on one graph under one set of rules."""

    def __init__(self, graph: Graph, rules: Sequence[Rule]) -> None:
        self.graph, self.rules = graph, tuple(rules)
        self.walks, self.with_jumper, self.stray_edges = 0, 0, 0
        self._encounters, self._kept = [0] * len(rules), [0] * len(rules)
        self._paths: list[set[int]] = [set() for _ in rules]
        self._is_jumper = np.isin(np.arange(graph.n_vertices), [rule.vertex for rule in rules])
        self._edges = _EdgeSet(graph)

    def add(self, walks: np.ndarray) -> None:
        """Count a batch of walks, unsigned ints [B, L]."""
        at_jumper = self._is_jumper[walks]
        self.walks += len(walks)
        self.with_jumper += int(at_jumper.any(axis=1).sum())
        self.stray_edges += self._edges.strays(walks)
        rows, steps = np.nonzero(at_jumper)
        sums, powers = _prefix_sums(walks)
        for place, rule in enumerate(self.rules):
            met = (walks[rows, steps] == rule.vertex) & (steps + rule.r < walks.shape[1])
            row, step = rows[met], steps[met]
            kept = self.graph.blocks[walks[row, step + rule.r]] == rule.target_block
            self._encounters[place] += len(row)
            self._kept[place] += int(kept.sum())
            if len(self._paths[place]) < PATHS_COUNTED:
                row, step = row[kept], step[kept]
                paths = (sums[row, step + rule.r] - sums[row, step]) * powers[walks.shape[1] - step]
                self._paths[place] |= set(np.unique(paths)[:PATHS_COUNTED].tolist())

    def tallies(self) -> list[Tally]:
        """Each rule's counts so far, in the order of the rules."""
        columns = zip(self._encounters, self._kept, self._paths, strict=True)
        return [Tally(encounters=e, kept=k, paths=min(len(p), PATHS_COUNTED)) for e, k, p in columns]

    @property
    def jumper_fraction(self) -> float:
        """Share of the walks that meet a jumper."""
        return self.with_jumper / max(1, self.walks)

    def require(self) -> None:
        """Raise DataError WALK_CHECKS, listing every promise of a training corpus that these walks break."""
        problems = [f"{self.stray_edges} steps leave the graph"] if self.stray_edges else []
        if self.jumper_fraction < MIN_JUMPER_FRACTION:
            problems.append(f"only {self.jumper_fraction:.3f} of the walks meet a jumper")
        for rule, tally in zip(self.rules, self.tallies(), strict=True):
            if tally.kept < tally.encounters:
                problems.append(f"rule at {rule.vertex} is kept {tally.kept} times of {tally.encounters}")
            if tally.paths < MIN_PATHS:
                problems.append(f"rule at {rule.vertex} is kept on {tally.paths} different paths only")
        if problems:
            action = "raise jumper_starts, train_walks or rules.min_visits"
            raise DataError("WALK_CHECKS", "the corpus breaks its promises: " + "; ".join(problems), action=action)


def _prefix_sums(walks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint64[B, L] sums of vertex_t * BASE**t and the powers, modulo 2**64: a path's sum, shifted by the power of what
    follows it, is a polynomial hash of the path alone.
    """
    powers = np.full(walks.shape[1] + 1, _BASE, np.uint64)
    powers[0] = 1
    powers = np.cumprod(powers)
    return np.cumsum(walks * powers[: walks.shape[1]], axis=1, dtype=np.uint64), powers


class _EdgeSet:
    """Membership of vertex pairs: one byte per pair while that is small, else a binary search among the edges."""

    def __init__(self, graph: Graph) -> None:
        self._n = graph.n_vertices
        self._codes = graph.sources.astype(np.int64) * self._n + graph.targets
        self._table = np.zeros(self._n**2 if self._n <= TABLE_VERTICES else 0, bool)
        if self._table.size:
            self._table[self._codes] = True

    def strays(self, walks: np.ndarray) -> int:
        """Steps of the walks that are not edges."""
        codes = walks[:, :-1].astype(np.int64) * self._n + walks[:, 1:]
        if self._table.size:
            return codes.size - int(self._table[codes].sum())
        return int((~found_in(codes, self._codes)).sum())
