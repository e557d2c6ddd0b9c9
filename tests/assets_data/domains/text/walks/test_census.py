from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from assets_data.domains.text.walks import census
from assets_data.domains.text.walks.census import PATHS_COUNTED, Census
from assets_data.domains.text.walks.config import RulesConfig
from assets_data.domains.text.walks.rules import plant_rules
from assets_data.lineage import DataError

from .graphs import edge_set, sampler, skewed_graph


@pytest.fixture(params=["table", "search"])
def membership(request, monkeypatch):
    """Both ways of knowing an edge."""
    if request.param == "search":
        monkeypatch.setattr(census, "TABLE_VERTICES", 0)


@pytest.fixture(scope="module")
def corpus():
    graph = skewed_graph(7)
    rules = plant_rules(graph, RulesConfig(r=(2, 5, 11)), 48, 7).rules
    return graph, rules, sampler(graph, rules, 48).draw("train", 0, 600).walks


def taken(graph, rules, *batches) -> Census:
    counts = Census(graph, rules)
    for batch in batches:
        counts.add(batch)
    return counts


def test_counts_are_those_of_a_walk_by_walk_count_also_of_walks_that_break_everything(membership, corpus):
    graph, rules, good = corpus
    wild = np.random.default_rng(0).integers(0, graph.n_vertices, good.shape).astype(good.dtype)
    walks = np.concatenate([good, wild])
    counts = taken(graph, rules, walks[:100], walks[100:])
    edges = edge_set(graph)
    listed = walks.tolist()
    assert counts.stray_edges == sum((a, b) not in edges for walk in listed for a, b in pairwise(walk))
    assert counts.stray_edges > 0
    assert counts.with_jumper == sum(bool({rule.vertex for rule in rules} & set(walk)) for walk in listed)
    for rule, tally in zip(rules, counts.tallies(), strict=True):
        met = [(walk, t) for walk in listed for t in range(48 - rule.r) if walk[t] == rule.vertex]
        kept = [(walk, t) for walk, t in met if graph.blocks[walk[t + rule.r]] == rule.target_block]
        paths = Counter(tuple(walk[t : t + rule.r + 1]) for walk, t in kept)
        assert (tally.encounters, tally.kept) == (len(met), len(kept))
        assert tally.paths == min(len(paths), PATHS_COUNTED)


def test_the_same_path_at_another_step_is_the_same_path(corpus):
    graph, rules, _ = corpus
    rule = rules[0]
    ahead = [v for v in range(graph.n_vertices) if graph.blocks[v] == rule.target_block]
    path = [rule.vertex, *[0 if rule.vertex else 1] * (rule.r - 1), ahead[0]]
    filler = next(v for v in range(graph.n_vertices) if v not in {r.vertex for r in rules})
    walks = np.array([[filler] * shift + path + [filler] * (10 - shift) for shift in range(10)], np.uint16)
    tally = taken(graph, rules, walks).tallies()[0]
    assert (tally.kept, tally.paths) == (10, 1)


def test_a_sound_corpus_passes(membership, corpus):
    graph, rules, walks = corpus
    counts = taken(graph, rules, walks)
    counts.require()
    assert counts.stray_edges == 0


def broken(corpus, change):
    graph, rules, walks = corpus
    with pytest.raises(DataError) as error:
        taken(graph, rules, change(graph, rules, walks.copy())).require()
    assert error.value.code == "WALK_CHECKS"
    return str(error.value)


def test_one_step_off_the_graph_is_refused(corpus):
    def change(graph, rules, walks):
        jumpers = {rule.vertex for rule in rules}
        spot = next(
            (row, v)
            for row, walk in enumerate(walks.tolist())
            for v in range(graph.n_vertices)
            if v not in jumpers
            and (walk[-2], v) not in edge_set(graph)
            and walk[-1] not in jumpers
            and graph.blocks[v] == graph.blocks[walk[-1]]
        )
        walks[spot[0], -1] = spot[1]
        return walks

    assert "1 steps leave the graph" in broken(corpus, change)


def test_one_broken_rule_is_refused(corpus):
    def change(graph, rules, walks):
        row, step = np.argwhere(walks[:, : 48 - rules[0].r] == rules[0].vertex)[0]
        elsewhere = np.flatnonzero(graph.blocks != rules[0].target_block)
        walks[row, step + rules[0].r] = next(v for v in elsewhere if v not in {rule.vertex for rule in rules})
        return walks

    assert f"rule at {corpus[1][0].vertex} is kept" in broken(corpus, change)


def test_too_few_walks_with_a_jumper_are_refused(corpus):
    def change(graph, rules, walks):
        filler = next(v for v in range(graph.n_vertices) if v not in {rule.vertex for rule in rules})
        return np.concatenate([walks, np.full((len(walks) + 1, 48), filler, walks.dtype)])

    assert "of the walks meet a jumper" in broken(corpus, change)


def test_a_rule_that_is_always_kept_the_same_way_is_refused(corpus):
    assert "different paths only" in broken(corpus, lambda graph, rules, walks: np.repeat(walks[:1], 50, axis=0))
