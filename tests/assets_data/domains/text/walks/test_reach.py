from itertools import islice

import numpy as np
import pytest

from assets_data.domains.text.walks.reach import ONE, iter_reach, relative, stationary

from .graphs import skewed_graph


def transition_matrix(graph):
    matrix = np.zeros((graph.n_vertices, graph.n_vertices))
    matrix[graph.sources, graph.targets] = graph.weights
    return matrix / matrix.sum(axis=1, keepdims=True)


def test_reach_is_the_power_of_the_transition_matrix_applied_to_the_blocks():
    graph = skewed_graph(0)
    matrix = transition_matrix(graph)
    expected = (graph.blocks == np.arange(graph.n_blocks)[:, None]).astype(float)
    for table in islice(iter_reach(graph), 20):
        assert table / ONE == pytest.approx(expected, abs=20 / ONE)
        expected = expected @ matrix.T


def test_relative_tables_keep_ratios_and_peak_at_one():
    tables = np.stack(list(islice(iter_reach(skewed_graph(1)), 5)))
    scaled = relative(tables)
    assert (scaled.max(axis=2) == ONE).all()
    assert scaled / ONE == pytest.approx(tables / tables.max(axis=2, keepdims=True), abs=2 / ONE)


def test_stationary_shares_do_not_change_over_a_step():
    graph = skewed_graph(2)
    shares = stationary(graph)
    assert shares.sum() == pytest.approx(1)
    assert shares @ transition_matrix(graph) == pytest.approx(shares, abs=1e-9)
