import networkx as nx
import numpy as np
import pytest

from assets_data.domains.text.walks.graph import MAX_STRENGTH, Graph, assemble
from assets_data.lineage import DataError

from .graphs import edge_set, skewed_graph


def listed(*edges):
    source, target, weight = np.array(edges).T
    return source, target, weight


def rows(**changes):
    """A three-vertex ring, with parts replaced."""
    parts = {
        "offsets": np.array([0, 1, 2, 3]),
        "targets": np.array([1, 2, 0], np.int32),
        "weights": np.array([1, 1, 1]),
        "blocks": np.zeros(3, np.uint16),
        "token_ids": np.full(3, -1, np.int32),
    }
    return Graph(**{**parts, **changes})


def test_an_edge_list_becomes_sorted_rows_with_its_weights():
    graph, dropped = assemble(3, *listed((2, 0, 7), (0, 2, 5), (1, 0, 9), (0, 1, 3)))
    assert graph.offsets.tolist() == [0, 2, 3, 4]
    assert graph.targets.tolist() == [1, 2, 0, 0]
    assert graph.weights.tolist() == [3, 5, 9, 7]
    assert graph.strengths.tolist() == [8, 9, 7]
    assert (dropped.self_loops, dropped.isolated, dropped.unreachable) == (0, 0, 0)


def test_f17_self_loops_isolated_vertices_and_dead_ends_are_dropped_and_counted():
    ring = [(0, 2, 1), (2, 4, 1), (4, 0, 1)]
    loops = [(0, 0, 5), (1, 1, 5)]  # vertex 1 has nothing but its loop, vertex 6 has nothing at all
    dead_end, source_only = [(2, 3, 1)], [(5, 4, 1)]
    graph, dropped = assemble(7, *listed(*ring, *loops, *dead_end, *source_only), token_ids=np.arange(100, 107))
    assert graph.token_ids.tolist() == [100, 102, 104]
    assert edge_set(graph) == {(0, 1), (1, 2), (2, 0)}
    assert (dropped.self_loops, dropped.isolated, dropped.unreachable) == (2, 2, 2)


def test_of_equal_components_the_one_with_the_lowest_vertex_is_kept():
    graph, dropped = assemble(4, *listed((2, 3, 1), (3, 2, 1), (0, 1, 1), (1, 0, 1), (1, 2, 1)), np.arange(4))
    assert graph.token_ids.tolist() == [0, 1]
    assert dropped.unreachable == 2


@pytest.mark.parametrize("edges", [[(0, 0, 1)], [(0, 1, 1)], [(0, 1, 1), (1, 2, 1)]])
def test_f17_a_graph_without_a_cycle_is_refused(edges):
    with pytest.raises(DataError) as error:
        assemble(3, *listed(*edges))
    assert error.value.code == "WALK_EMPTY_GRAPH"


def test_f17_no_vertices_and_no_edges_are_refused():
    none = np.zeros(0, np.int64)
    with pytest.raises(DataError) as error:
        assemble(0, none, none, none)
    assert error.value.code == "WALK_EMPTY_GRAPH"


@pytest.mark.parametrize("seed", range(3))
def test_every_vertex_of_an_assembled_graph_reaches_every_other(seed):
    graph = skewed_graph(seed)
    assert nx.is_strongly_connected(nx.DiGraph(sorted(edge_set(graph))))


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("WALK_DEAD_END", {"offsets": np.array([0, 2, 2, 3]), "targets": np.array([1, 2, 0])}),
        ("WALK_SELF_LOOP", {"targets": np.array([1, 1, 0])}),
        ("WALK_BAD_EDGES", {"targets": np.array([1, 2, 3])}),
        ("WALK_BAD_EDGES", {"targets": np.array([1, 2, -1])}),
        ("WALK_BAD_EDGES", {"offsets": np.array([0, 1, 2, 2])}),
        (
            "WALK_BAD_EDGES",
            {"offsets": np.array([0, 2, 3, 4]), "targets": np.array([2, 1, 2, 0]), "weights": np.ones(4, int)},
        ),
        (
            "WALK_BAD_EDGES",
            {"offsets": np.array([0, 2, 3, 4]), "targets": np.array([1, 1, 2, 0]), "weights": np.ones(4, int)},
        ),
        ("WALK_BAD_WEIGHTS", {"weights": np.array([1, 0, 1])}),
        ("WALK_BAD_WEIGHTS", {"weights": np.array([1, MAX_STRENGTH + 1, 1])}),
        ("WALK_BAD_BLOCKS", {"blocks": np.zeros(2, np.uint16)}),
        ("WALK_EMPTY_GRAPH", {"offsets": np.array([0]), "targets": np.zeros(0, int), "weights": np.zeros(0, int)}),
    ],
)
def test_f17_a_graph_with_a_defect_cannot_be_made(code, changes):
    assert rows().n_edges == 3
    with pytest.raises(DataError) as error:
        rows(**changes)
    assert error.value.code == code
