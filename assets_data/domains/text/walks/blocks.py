"""Blocks of a graph that has none of its own: Louvain communities (Blondel et al. 2008), merged to a fixed number.

Promises the same blocks for the same graph, seed and networkx version. Blocks are numbered by size, largest first.
"""

from __future__ import annotations

import networkx as nx
import numpy as np

from assets_data.domains.text.walks.graph import Graph
from assets_data.lineage import DataError

RESOLUTION_STEP = 1.25
RESOLUTION_TRIES = 20


def find_blocks(graph: Graph, count: int, resolution: float, seed: int) -> np.ndarray:
    """``count`` blocks, uint16[n]. Resolution rises by a quarter until there are at least that many communities.

    Then the smallest community joins the one it exchanges most weight with, until ``count`` are left. Raises DataError
    WALK_TOO_FEW_BLOCKS when no resolution tried gives enough communities.
    """
    undirected = nx.Graph()
    undirected.add_nodes_from(range(graph.n_vertices))
    edges = zip(graph.sources.tolist(), graph.targets.tolist(), graph.weights.tolist(), strict=True)
    for source, target, weight in edges:
        both = undirected.get_edge_data(source, target, {"weight": 0})["weight"]
        undirected.add_edge(source, target, weight=both + weight)
    for attempt in range(RESOLUTION_TRIES):
        found = nx.community.louvain_communities(
            undirected, resolution=resolution * RESOLUTION_STEP**attempt, seed=seed
        )
        if len(found) >= count:
            return _merge(graph, _number(graph, found), count)
    action = "lower blocks, or raise vocab_size or resolution"
    raise DataError("WALK_TOO_FEW_BLOCKS", "too few communities", expected=count, found=len(found), action=action)


def _number(graph: Graph, communities: list[set[int]]) -> np.ndarray:
    blocks = np.empty(graph.n_vertices, np.int64)
    for number, community in enumerate(sorted(communities, key=lambda c: (-len(c), min(c)))):
        blocks[list(community)] = number
    return blocks


def _merge(graph: Graph, blocks: np.ndarray, count: int) -> np.ndarray:
    k = int(blocks.max()) + 1
    flow = np.zeros((k, k), np.int64)
    np.add.at(flow, (blocks[graph.sources], blocks[graph.targets]), graph.weights)
    while k > count:  # blocks are numbered by size, so the last is the smallest
        exchanged = (flow + flow.T)[-1, :-1]
        blocks[blocks == k - 1] = int(np.argmax(exchanged))
        members = [set(np.flatnonzero(blocks == block).tolist()) for block in range(k - 1)]
        blocks, k = _number(graph, members), k - 1
        flow = np.zeros((k, k), np.int64)
        np.add.at(flow, (blocks[graph.sources], blocks[graph.targets]), graph.weights)
    return blocks.astype(np.uint16)
