"""Small real graphs, and a scorer that shares nothing with the code under test."""

from __future__ import annotations

import numpy as np

from assets_data.domains.text.walks.config import DcsbmGraph
from assets_data.domains.text.walks.dcsbm import sample_dcsbm
from assets_data.domains.text.walks.generate import WalkSampler
from assets_data.domains.text.walks.graph import Graph, assemble


def graph_of(edges: dict[tuple[int, int], int], blocks: list[int]) -> Graph:
    """A graph from ``{(source, target): weight}``; every vertex must reach every other."""
    source, target = np.array(list(edges)).T
    graph, _ = assemble(len(blocks), source, target, np.array(list(edges.values())))
    assert graph.n_vertices == len(blocks)
    return graph.with_blocks(np.array(blocks))


def anchor_graph() -> Graph:
    return sample_dcsbm(DcsbmGraph(), 42)[0]


def skewed_graph(seed: int, n: int = 40, blocks: int = 3) -> Graph:
    """Sparse, unequal blocks, weights over four orders of magnitude: what text looks like."""
    rng = np.random.default_rng(seed)
    linked = rng.random((n, n)) < 0.2
    linked[np.arange(n), (np.arange(n) + 1) % n] = True
    np.fill_diagonal(linked, False)
    source, target = np.nonzero(linked)
    weight = np.ceil(10 ** rng.uniform(0, 4, len(source))).astype(np.int64)
    graph, _ = assemble(n, source, target, weight)
    return graph.with_blocks(np.minimum(np.arange(n) * 5 // n, blocks - 1))


def sampler(graph: Graph, rules, length: int, **options) -> WalkSampler:
    return WalkSampler(graph, rules, **{"length": length, "horizon": 8, "jumper_starts": 0.5, "seed": 1, **options})


def edge_set(graph: Graph) -> set[tuple[int, int]]:
    return set(zip(graph.sources.tolist(), graph.targets.tolist(), strict=True))


def broken_promises(graph: Graph, rules, walks: np.ndarray) -> tuple[list, int]:
    """Every (walk, step) that leaves the graph or breaks a rule, and the number of rule checks, one by one."""
    edges, by_vertex = edge_set(graph), {rule.vertex: rule for rule in rules}
    broken, checks = [], 0
    for row, walk in enumerate(walks.tolist()):
        for step, vertex in enumerate(walk):
            if step and (walk[step - 1], vertex) not in edges:
                broken.append((row, step))
            rule = by_vertex.get(vertex)
            if rule and step + rule.r < len(walk):
                checks += 1
                if graph.blocks[walk[step + rule.r]] != rule.target_block:
                    broken.append((row, step))
    return broken, checks
