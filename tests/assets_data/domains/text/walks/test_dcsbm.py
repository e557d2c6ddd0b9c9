import networkx as nx
import numpy as np
import pytest

from assets_data.domains.text.walks import dcsbm
from assets_data.domains.text.walks.config import DcsbmGraph
from assets_data.domains.text.walks.dcsbm import edge_probabilities, sample_dcsbm
from assets_data.lineage import DataError

from .graphs import edge_set


def test_the_anchor_is_the_published_graph():
    graph, attempt = sample_dcsbm(DcsbmGraph(), 42)
    assert (graph.n_vertices, graph.n_edges, graph.n_blocks, attempt) == (500, 13_370, 4, 0)
    assert (graph.degrees.min(), graph.degrees.max()) == (2, 282)
    assert graph.degrees.mean() == pytest.approx(26.74)
    assert graph.blocks.tolist() == [v // 125 for v in range(500)]
    assert set(graph.weights.tolist()) == {1}


def test_degree_corrections_are_zipf_and_sum_to_the_size_of_each_block():
    probability = edge_probabilities(DcsbmGraph(n=60, p_in=1e-6, p_out=1e-7), np.random.default_rng(0))
    theta = probability[:15, 15:30].sum(axis=1) / (1e-7 * 15)
    harmonic = sum(1 / rank for rank in range(1, 16))
    assert sorted(theta, reverse=True) == pytest.approx([15 / rank / harmonic for rank in range(1, 16)])
    assert probability[0, 1] == pytest.approx(1e-6 * theta[0] * theta[1])
    assert list(theta) != sorted(theta, reverse=True)
    assert not probability.diagonal().any()


@pytest.mark.parametrize(("n", "p_in", "p_out"), [(60, 0.5, 0.1), (160, 0.25, 0.03)])
def test_small_graphs_are_valid_and_strongly_connected(n, p_in, p_out):
    graph, _ = sample_dcsbm(DcsbmGraph(n=n, p_in=p_in, p_out=p_out), 42)
    assert graph.n_vertices == n
    assert nx.is_strongly_connected(nx.DiGraph(sorted(edge_set(graph))))


def test_a_later_attempt_is_the_first_attempt_of_a_later_seed():
    config = DcsbmGraph(n=160)
    graph, attempt = sample_dcsbm(config, 42)
    assert attempt > 0
    again, first = sample_dcsbm(config, 42 + attempt)
    assert first == 0
    assert edge_set(graph) == edge_set(again)


def test_a_graph_too_sparse_is_refused_with_a_reason_per_attempt():
    with pytest.raises(DataError) as error:
        sample_dcsbm(DcsbmGraph(n=100), 42)
    assert error.value.code == "WALK_DCSBM_INVALID"
    assert str(error.value).count("lowest expected out-degree") == 10


def test_densities_off_by_more_than_two_standard_deviations_are_refused(monkeypatch):
    config = DcsbmGraph(n=100, p_in=0.5, p_out=0.1)
    _, attempt = sample_dcsbm(config, 42)
    monkeypatch.setattr(dcsbm, "DENSITY_SIGMAS", 200.0)
    assert sample_dcsbm(config, 42)[1] < attempt
    monkeypatch.setattr(dcsbm, "DENSITY_SIGMAS", 0.0)
    with pytest.raises(DataError) as error:
        sample_dcsbm(config, 42)
    assert str(error.value).count("density of blocks") == 10
