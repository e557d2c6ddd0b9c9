from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from assets_data.domains.text.walks.balance import MAX_FACTOR, UNIT, balance
from assets_data.domains.text.walks.config import RulesConfig
from assets_data.domains.text.walks.rules import plant_rules

from .graphs import broken_promises, graph_of, sampler, skewed_graph

LENGTH, WALKS = 64, 8000


def encounters(walks, rules):
    """Average encounters of each rule in a walk whose deadlines lie inside it."""
    return np.array([(walks[:, : -rule.r] == rule.vertex).sum() / len(walks) for rule in rules])


@pytest.fixture(scope="module", params=range(3))
def case(request):
    """A graph, rules of very different lengths, and the sampler of their walks on any graph like it."""
    graph = skewed_graph(request.param)
    rules = plant_rules(graph, RulesConfig(r=(2, 5, 9, 17, 30, 48)), LENGTH, request.param).rules
    return graph, rules, partial(sampler, rules=rules, length=LENGTH)


@pytest.mark.parametrize("wanted", [0.3, 0.8])
def test_every_rule_is_met_as_often_as_asked_for(case, wanted):
    graph, rules, walks_on = case
    before = encounters(walks_on(graph).draw("train", 0, WALKS).walks, rules)
    assert before.max() > 3 * before.min()
    after = encounters(walks_on(balance(graph, rules, wanted, walks_on)).draw("train", 0, WALKS).walks, rules)
    assert after == pytest.approx(wanted, rel=0.1)


def test_rules_are_kept_on_the_balanced_graph(case):
    graph, rules, walks_on = case
    balanced = balance(graph, rules, 0.5, walks_on)
    broken, checks = broken_promises(balanced, rules, walks_on(balanced).draw("train", 0, 300).walks)
    assert broken == [] and checks > 500


def test_counts_of_any_size_are_balanced():
    small = skewed_graph(0)
    large = replace(small, weights=small.weights * 10_000)
    large.weights[small.weights < 20] = 1
    rules = plant_rules(large, RulesConfig(r=(2, 5, 9, 17, 30, 48)), LENGTH, 0).rules
    balanced = balance(large, rules, 0.5, partial(sampler, rules=rules, length=LENGTH))
    met = encounters(sampler(balanced, rules, LENGTH).draw("train", 0, WALKS).walks, rules)
    assert met == pytest.approx(0.5, rel=0.1)


def test_edges_stay_and_only_those_into_a_jumper_change_their_share_together(case):
    graph, rules, walks_on = case
    balanced = balance(graph, rules, 0.5, walks_on)
    assert np.array_equal(balanced.offsets, graph.offsets) and np.array_equal(balanced.targets, graph.targets)
    parts = balanced.weights / graph.weights
    jumpers = {rule.vertex for rule in rules}
    for vertex in range(graph.n_vertices):
        into = set(parts[graph.targets == vertex])
        assert len(into) == 1 and (vertex in jumpers or into == {UNIT})


def test_a_rule_that_cannot_be_met_so_often_is_met_as_often_as_the_bound_gives():
    ring = graph_of({(0, 1): 1, (1, 2): 1, (2, 3): 1, (2, 0): 1, (3, 0): 1}, [0, 0, 1, 1])
    rules = plant_rules(ring, RulesConfig(r=(2,), jumpers_per_block=1), 8, 0).rules
    balanced = balance(ring, rules, 100.0, partial(sampler, rules=rules, length=8))
    assert set((balanced.weights / ring.weights).tolist()) == {UNIT, UNIT * MAX_FACTOR}
