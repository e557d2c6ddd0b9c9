"""Reading walk corpora, and their metric: whether a sequence walks along edges and keeps the planted rules.

The gate and the corpus check use the same code; pure NumPy, vectorised over whole corpora. A rule (v, r, target) asks,
for every t with seq[t] == v and t + r inside the sequence, that seq[t + r] is in the target block. Nested encounters
count like any other.

Shapes: N sequences, L vertices each, R rules, V vertices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.identity.sorted_sets import found_in
from assets_data.lineage.identity.tables import iter_batches
from assets_data.stage import Outcome

DENSE_VERTICES = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A walk at ``vertex`` now stands in block ``target_block`` after ``r`` steps."""

    vertex: int
    r: int
    target_block: int


@dataclass(frozen=True, slots=True)
class Count:
    """Hits among checks. Counts add up; ``rate`` of no checks is None, never 1."""

    hits: int = 0
    checks: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.hits + other.hits, self.checks + other.checks)

    @property
    def rate(self) -> float | None:
        """Hits over checks."""
        return self.hits / self.checks if self.checks else None


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over some sequences: consecutive pairs that are edges, and kept deadlines of each rule."""

    edges: Count
    rules: tuple[Count, ...]

    @property
    def edge_compliance(self) -> float | None:
        """Share of consecutive pairs that are edges."""
        return self.edges.rate

    @property
    def rule_compliance(self) -> float | None:
        """Share of all rule checks that were kept (micro average)."""
        return sum(self.rules, Count()).rate

    @property
    def rule_checks(self) -> int:
        """Rule checks over all rules."""
        return sum(count.checks for count in self.rules)


class WalkGraph:
    """Edges, blocks and rules of a walk corpus, ready for scoring."""

    def __init__(
        self, sources_E: np.ndarray, targets_E: np.ndarray, blocks_V: np.ndarray, rules: Iterable[Rule]
    ) -> None:
        self.blocks_V, self.rules = np.asarray(blocks_V, np.int64), tuple(rules)
        self.n_vertices, self.n_blocks = len(self.blocks_V), int(self.blocks_V.max()) + 1
        self._codes = np.sort(np.asarray(sources_E, np.int64) * self.n_vertices + np.asarray(targets_E, np.int64))
        self._dense = None
        if self.n_vertices <= DENSE_VERTICES:  # one byte per pair: a lookup costs one read instead of a binary search
            self._dense = np.zeros(self.n_vertices**2, np.bool_)
            self._dense[self._codes] = True

    def edges(self, tokens_NL: np.ndarray) -> Count:
        """Consecutive pairs that are edges. Tokens outside the graph are never part of one."""
        tokens = tokens_NL.astype(np.int64)
        known = (tokens[:, :-1] < self.n_vertices) & (tokens[:, 1:] < self.n_vertices)
        codes = np.where(known, tokens[:, :-1] * self.n_vertices + tokens[:, 1:], 0)
        valid = self._dense[codes] if self._dense is not None else found_in(codes, self._codes)
        return Count(int((valid & known).sum()), codes.size)

    def in_block(self, tokens: np.ndarray, block: int) -> np.ndarray:
        """Whether each token is a vertex of that block."""
        known = tokens < self.n_vertices
        return known & (self.blocks_V[np.where(known, tokens, 0)] == block)

    def kept(self, tokens_NL: np.ndarray, rule: Rule) -> Count:
        """Checks of one rule whose deadline lies inside its sequence, and how many were kept."""
        if rule.r >= tokens_NL.shape[1]:
            return Count()
        row, t = np.nonzero(tokens_NL[:, : tokens_NL.shape[1] - rule.r] == rule.vertex)
        return Count(int(self.in_block(tokens_NL[row, t + rule.r], rule.target_block).sum()), len(row))

    def score(self, tokens_NL: np.ndarray) -> Score:
        """Edges and every rule over whole sequences."""
        return Score(self.edges(tokens_NL), tuple(self.kept(tokens_NL, rule) for rule in self.rules))

    def score_batches(self, batches: Iterable[np.ndarray]) -> Score:
        """The same over many arrays, one in memory at a time."""
        total = Score(Count(), tuple(Count() for _ in self.rules))
        for tokens_NL in batches:
            part = self.score(tokens_NL)
            rules = tuple(a + b for a, b in zip(total.rules, part.rules, strict=True))
            total = Score(total.edges + part.edges, rules)
        return total


def open_graph(corpus: Snapshot) -> WalkGraph:
    """The graph and rules of a ``walk_corpus`` snapshot."""
    edges, vertices, rules = (corpus.table(f"{name}.arrow") for name in ("edges", "vertices", "rules"))
    planted = [Rule(**row) for row in rules.to_pylist()]
    return WalkGraph(edges["source"].to_numpy(), edges["target"].to_numpy(), vertices["block"].to_numpy(), planted)


def iter_walks(corpus: Snapshot, split: str) -> Iterable[np.ndarray]:
    """Walks of one split, unsigned ints [N, L], one record batch at a time, without copying."""
    for batch in iter_batches(corpus.file(f"{split}.arrow")):
        column = batch.column("tokens")
        yield column.flatten().to_numpy(zero_copy_only=True).reshape(len(column), -1)


def score_corpus(corpus: Snapshot) -> Score:
    """The gate's metric over every walk of a corpus, both splits."""
    graph = open_graph(corpus)
    return graph.score_batches(walks for split in ("train", "heldout") for walks in iter_walks(corpus, split))


def check_rules(_store: Store, corpus: Snapshot) -> Outcome:
    """Every rule encounter in every walk is honoured and every step is an edge."""
    score = score_corpus(corpus)
    facts = {
        "rule_compliance": score.rule_compliance,
        "edge_compliance": score.edge_compliance,
        "rule_checks": score.rule_checks,
    }
    return Outcome(passed=score.rule_compliance == 1.0 and score.edge_compliance == 1.0, facts=facts)
