import numpy as np
import pytest

from assets_data.domains.text.walks.config import RulesConfig
from assets_data.domains.text.walks.reach import stationary
from assets_data.domains.text.walks.rules import plant_rules
from assets_data.lineage import DataError

from .graphs import anchor_graph, graph_of, skewed_graph

PUBLISHED = [
    (44, 32, 2), (93, 45, 1), (196, 58, 2), (183, 64, 0), (323, 70, 1), (305, 83, 0), (467, 96, 2), (449, 128, 0),
]  # fmt: skip


def walks_by_chance(graph, rule, count=200_000):
    """Share of free walks from the jumper that keep the rule, by drawing them with NumPy."""
    rng = np.random.default_rng(0)
    matrix = np.zeros((graph.n_vertices, graph.n_vertices))
    matrix[graph.sources, graph.targets] = graph.weights
    cumulative = np.cumsum(matrix, axis=1)
    here = np.full(count, rule.vertex)
    for _ in range(rule.r):
        here = (cumulative[here] < rng.random((count, 1)) * cumulative[here, -1:]).sum(axis=1)
    return (graph.blocks[here] == rule.target_block).mean()


def test_the_anchor_has_the_published_rules():
    planting = plant_rules(anchor_graph(), RulesConfig(window=64), 256, 42)
    assert [(rule.vertex, rule.r, rule.target_block) for rule in planting.rules] == PUBLISHED
    assert planting.dropped == 0
    assert planting.chances == pytest.approx([0.25] * 8, abs=0.02)


def test_the_chance_of_a_rule_is_how_often_free_walks_keep_it():
    graph = skewed_graph(3)
    planting = plant_rules(graph, RulesConfig(r=(2, 5)), 64, 1)
    for rule, chance in zip(planting.rules, planting.chances, strict=True):
        assert walks_by_chance(graph, rule, 20_000) == pytest.approx(chance, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_rules_lead_into_another_block_with_a_chance_within_bounds(seed):
    graph = skewed_graph(seed)
    planting = plant_rules(graph, RulesConfig(r=(3, 4, 9), jumpers_per_block=3, max_chance=0.45), 64, seed)
    assert all(rule.target_block != graph.blocks[rule.vertex] for rule in planting.rules)
    assert all(0 < chance <= 0.45 for chance in planting.chances)
    assert len({rule.vertex for rule in planting.rules}) == len(planting.rules)


def test_jumpers_are_visited_as_often_as_asked_for():
    graph, length = skewed_graph(4), 100
    config = RulesConfig(r=(4,), jumpers_per_block=2, min_visits=1.0, max_visits=3.0)
    visits = stationary(graph) * length
    assert visits.min() < 1.0 and visits.max() > 3.0
    for rule in plant_rules(graph, config, length, 0).rules:
        assert 1.0 <= visits[rule.vertex] <= 3.0


def two_way_block():
    """Block 0 is {0, 1, 2}; only vertex 2 can be in block 1 or back in block 0 after one step."""
    edges = {(0, 1): 1, (1, 2): 1, (2, 0): 1, (2, 3): 1, (3, 4): 1, (4, 3): 1, (4, 0): 1}
    return graph_of(edges, [0, 0, 0, 1, 1])


@pytest.mark.parametrize("seed", range(6))
def test_a_vertex_without_a_usable_target_gives_way_to_another_of_its_block(seed):
    config = RulesConfig(r=(1,), jumpers_per_block=1, max_chance=0.9)
    planting = plant_rules(two_way_block(), config, 8, seed)
    mine = [rule.vertex for rule in planting.rules if rule.vertex < 3]
    assert mine in ([2], [])  # two tries of three vertices: found, or dropped
    assert planting.dropped == 2 - len(planting.rules)


def test_both_outcomes_happen_over_seeds():
    config = RulesConfig(r=(1,), jumpers_per_block=1, max_chance=0.9)
    found = {
        len([r for r in plant_rules(two_way_block(), config, 8, seed).rules if r.vertex < 3]) for seed in range(20)
    }
    assert found == {0, 1}


def test_bounds_that_no_vertex_meets_are_refused():
    with pytest.raises(DataError) as error:
        plant_rules(skewed_graph(0), RulesConfig(r=(4,), min_visits=50.0), 51, 0)
    assert error.value.code == "WALK_NO_RULES"
