"""The graph walks run on: compressed sparse rows with whole-number weights and a block per vertex.

Owns ``Graph``, which cannot be made with a defect that would break a walk, and :func:`assemble`, the road to it from an
edge list, which drops what no endless walk can use and counts it. Weights are whole numbers so that whatever is drawn
from them is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import networkx as nx
import numpy as np

from assets_data.lineage import DataError

MAX_STRENGTH = 2**32  # (sum of weights) times (a 30-bit probability) stays inside 64 bits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A directed graph on n vertices with E edges.

    ``offsets`` int64[n + 1], ``targets`` int32[E] ascending within a vertex, ``weights`` int64[E] >= 1, ``blocks``
    uint16[n], ``token_ids`` int32[n] (-1 where there is no token). Raises DataError: WALK_EMPTY_GRAPH, WALK_DEAD_END,
    WALK_SELF_LOOP, WALK_BAD_EDGES (out of range, unsorted or repeated), WALK_BAD_WEIGHTS, WALK_BAD_BLOCKS.
    """

    offsets: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    blocks: np.ndarray
    token_ids: np.ndarray

    def __post_init__(self) -> None:
        if not self.n_edges or self.n_vertices < 2:
            raise DataError("WALK_EMPTY_GRAPH", "a graph needs two vertices and an edge", found=self.n_edges)
        _check_rows(self)
        strongest = np.add.reduceat(self.weights.astype(np.float64), self.offsets[:-1]).max()
        if self.weights.min() < 1 or strongest > MAX_STRENGTH:
            found = f"least weight {self.weights.min()}, largest sum {strongest:.0f}"
            raise DataError("WALK_BAD_WEIGHTS", "weights are counts, at most 2**32 out of one vertex", found=found)
        if len(self.blocks) != self.n_vertices or len(self.token_ids) != self.n_vertices:
            raise DataError("WALK_BAD_BLOCKS", "every vertex has one block and one token id", expected=self.n_vertices)

    @property
    def n_vertices(self) -> int:
        """n."""
        return len(self.offsets) - 1

    @property
    def n_edges(self) -> int:
        """E."""
        return len(self.targets)

    @property
    def n_blocks(self) -> int:
        """K: blocks are numbered 0 .. K - 1."""
        return int(self.blocks.max()) + 1

    @property
    def degrees(self) -> np.ndarray:
        """Out-degree of each vertex, int64[n]."""
        return np.diff(self.offsets)

    @property
    def sources(self) -> np.ndarray:
        """Source vertex of each edge, int32[E]."""
        return np.repeat(np.arange(self.n_vertices, dtype=np.int32), self.degrees)

    @property
    def strengths(self) -> np.ndarray:
        """Sum of the weights out of each vertex, int64[n]."""
        return np.add.reduceat(self.weights, self.offsets[:-1])

    def with_blocks(self, blocks: np.ndarray) -> Graph:
        """The same graph under another partition."""
        return replace(self, blocks=np.ascontiguousarray(blocks, dtype=np.uint16))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What :func:`assemble` left out: edges from a vertex to itself, vertices without any other edge, and vertices
    outside the largest strongly connected component (dead ends and sources among them).
    """

    self_loops: int
    isolated: int
    unreachable: int


def assemble(
    n: int, source: np.ndarray, target: np.ndarray, weight: np.ndarray, token_ids: np.ndarray | None = None
) -> tuple[Graph, Dropped]:
    """The largest strongly connected part of an edge list, vertices renumbered in their old order, all in block 0.

    Self loops are dropped. Raises DataError WALK_EMPTY_GRAPH when no two vertices reach each other, else as Graph.
    """
    loops = source == target
    source, target, weight = source[~loops], target[~loops], weight[~loops]
    keep = largest_component(n, source, target)
    isolated = n - len(np.union1d(source, target))
    if len(keep) < 2:
        raise DataError(
            "WALK_EMPTY_GRAPH",
            "no two vertices reach each other, so there is nothing to walk on",
            found=f"{n} vertices, {len(source)} edges, {int(loops.sum())} self loops dropped",
            action="use more text, more vertices or a lower min_count",
        )
    tokens = np.full(n, -1, np.int32) if token_ids is None else token_ids.astype(np.int32)
    graph = _rows(keep, source, target, weight, tokens)
    return graph, Dropped(self_loops=int(loops.sum()), isolated=isolated, unreachable=n - isolated - len(keep))


def largest_component(n: int, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Vertices, ascending, of the largest strongly connected component; of equals, the one with the lowest vertex."""
    digraph = nx.DiGraph()
    digraph.add_nodes_from(range(n))
    digraph.add_edges_from(zip(source.tolist(), target.tolist(), strict=True))
    components = nx.strongly_connected_components(digraph)
    best = max(components, key=lambda component: (len(component), -min(component)), default=set())
    return np.array(sorted(best), dtype=np.int64)


def _rows(keep: np.ndarray, source: np.ndarray, target: np.ndarray, weight: np.ndarray, tokens: np.ndarray) -> Graph:
    number = np.full(len(tokens), -1, np.int64)
    number[keep] = np.arange(len(keep))
    inside = (number[source] >= 0) & (number[target] >= 0)
    source, target, weight = number[source[inside]], number[target[inside]], weight[inside]
    order = np.lexsort((target, source))
    return Graph(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(source, minlength=len(keep)))]).astype(np.int64),
        targets=target[order].astype(np.int32),
        weights=weight[order].astype(np.int64),
        blocks=np.zeros(len(keep), np.uint16),
        token_ids=tokens[keep],
    )


def _check_rows(graph: Graph) -> None:
    n, degrees = graph.n_vertices, graph.degrees
    if graph.offsets[0] != 0 or degrees.min() < 0 or not graph.offsets[-1] == graph.n_edges == len(graph.weights):
        raise DataError("WALK_BAD_EDGES", "offsets, targets and weights do not fit each other", found=graph.n_edges)
    if degrees.min() == 0:
        raise DataError("WALK_DEAD_END", "no way out of a vertex", found=int(np.argmin(degrees)), action="use assemble")
    sources, targets = graph.sources, graph.targets
    if targets.min() < 0 or targets.max() >= n:
        raise DataError("WALK_BAD_EDGES", "an edge leads to a vertex that does not exist", expected=f"0 .. {n - 1}")
    if np.any(sources == targets):
        raise DataError("WALK_SELF_LOOP", "an edge leads back to its own vertex", action="use assemble")
    if np.any(np.diff(sources.astype(np.int64) * n + targets) <= 0):
        raise DataError("WALK_BAD_EDGES", "edges are not sorted by source and target, or one is listed twice")
