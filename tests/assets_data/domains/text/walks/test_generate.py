import itertools
import os
import subprocess
import sys
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from assets_data.domains.text.walks import generate
from assets_data.domains.text.walks.config import RulesConfig
from assets_data.domains.text.walks.generate import alias_table
from assets_data.domains.text.walks.rules import Rule, plant_rules
from assets_data.lineage import DataError, digest_bytes
from assets_data.lineage.receipts.code import ROOT

from .graphs import anchor_graph, broken_promises, graph_of, sampler, skewed_graph


@pytest.fixture(scope="module")
def anchor():
    graph = anchor_graph()
    return graph, plant_rules(graph, RulesConfig(window=64), 256, 42).rules


def assert_frequencies(observed: Counter, expected: dict, sigmas=5.0):
    """Counts of independent draws are what these probabilities give, each within some standard deviations."""
    total = sum(observed.values())
    assert set(observed) <= set(expected)
    assert sum(expected.values()) == pytest.approx(1)
    for outcome, p in expected.items():
        assert abs(observed[outcome] - total * p) <= sigmas * np.sqrt(total * p * (1 - p)) + 1, outcome


# --- every promise is kept ---


def test_every_encounter_on_the_anchor_is_honoured(anchor):
    graph, rules = anchor
    broken, checks = broken_promises(graph, rules, sampler(graph, rules, 256).draw("train", 0, 2000).walks)
    assert broken == []
    assert checks > 10_000


@pytest.mark.parametrize("horizon", [1, 3, 8])
@pytest.mark.parametrize("seed", range(4))
def test_every_encounter_is_honoured_however_dense_the_rules(seed, horizon):
    graph = skewed_graph(seed)
    rules = plant_rules(graph, RulesConfig(r=(1, 2, 3, 5, 9, 17), jumpers_per_block=4), 64, seed).rules
    batch = sampler(graph, rules, 64, horizon=horizon, seed=seed).draw("train", 0, 400)
    broken, checks = broken_promises(graph, rules, batch.walks)
    assert broken == []
    assert checks > 4000


def test_a_jumper_that_would_contradict_a_promise_is_not_stepped_on():
    # 0 promises block 1 in two steps and 1 promises block 2 in one step, so 0 -> 1 contradicts itself; 0 -> 2 does not.
    edges = {(0, 1): 1000, (0, 2): 1, (1, 3): 1, (1, 4): 1, (2, 3): 1, (2, 4): 1, (3, 0): 1, (4, 0): 1, (4, 1): 1}
    graph = graph_of(edges, [0, 0, 0, 1, 2])
    rules = [Rule(vertex=0, r=2, target_block=1), Rule(vertex=1, r=1, target_block=2)]
    walks = sampler(graph, rules, 40).draw("train", 0, 200).walks
    assert broken_promises(graph, rules, walks)[0] == []
    after_zero = walks[:, 1:][walks[:, :-1] == 0]
    assert set(after_zero.tolist()) == {2}
    assert (walks == 1).any()


# --- the distribution ---


def test_free_steps_follow_the_weights():
    graph = skewed_graph(5, n=8)
    rules = [Rule(vertex=0, r=500, target_block=1)]  # no deadline in sight of a walk of 40
    batch = sampler(graph, rules, 40).draw("train", 0, 4000)
    walks = batch.walks.astype(int)
    assert batch.redraws == 0
    for vertex in range(8):
        at = graph.sources == vertex
        expected = dict(zip(graph.targets[at].tolist(), graph.weights[at] / graph.weights[at].sum(), strict=True))
        assert_frequencies(Counter(walks[:, 1:][walks[:, :-1] == vertex].tolist()), expected)


def conditional_paths(graph, rule):
    """Probability of each r-step path from the jumper, given that it keeps the rule, by listing all of them."""
    weight = dict(
        zip(zip(graph.sources.tolist(), graph.targets.tolist(), strict=True), graph.weights.tolist(), strict=True)
    )
    strength = graph.strengths.tolist()
    paths = {}
    for rest in itertools.product(range(graph.n_vertices), repeat=rule.r):
        steps = list(itertools.pairwise((rule.vertex, *rest)))
        if graph.blocks[rest[-1]] == rule.target_block and all(step in weight for step in steps):
            paths[rest] = np.prod([weight[step] / strength[step[0]] for step in steps])
    return {path: p / sum(paths.values()) for path, p in paths.items()}


def test_steps_before_a_deadline_follow_the_walk_conditioned_on_meeting_it():
    edges = {(0, 1): 5, (0, 2): 1, (0, 3): 3, (1, 2): 1, (1, 4): 9, (2, 3): 2, (2, 4): 2, (2, 1): 1}
    edges |= {(3, 4): 1, (3, 1): 30, (4, 5): 1, (4, 3): 4, (4, 1): 2, (5, 0): 1, (5, 1): 1}
    graph = graph_of(edges, [0, 0, 1, 0, 1, 1])
    rule = Rule(vertex=0, r=3, target_block=1)
    expected = conditional_paths(graph, rule)
    walks = sampler(graph, [rule], 4, horizon=3, jumper_starts=1.0).draw("train", 0, 60_000).walks
    assert len(expected) > 8
    assert_frequencies(Counter(map(tuple, walks[:, 1:].tolist())), expected)


def test_the_law_holds_where_almost_every_proposal_is_refused():
    edges = {(0, 1): 10**6, (0, 2): 1, (0, 3): 2, (0, 4): 4, (1, 0): 1, (2, 0): 1, (3, 0): 1, (4, 0): 1}
    graph = graph_of(edges, [0, 0, 1, 1, 1])
    walks = sampler(graph, [Rule(vertex=0, r=1, target_block=1)], 2, jumper_starts=1.0).draw("train", 0, 20_000).walks
    assert_frequencies(Counter(walks[:, 1].tolist()), {2: 1 / 7, 3: 2 / 7, 4: 4 / 7})


def test_alias_tables_hold_the_weights_exactly():
    graph = skewed_graph(6)
    cut, alias = alias_table(graph)
    kept = cut.astype(np.float64) / 2**32
    mass = kept.copy()
    np.add.at(mass, alias, 1 - kept)
    expected = graph.weights * (graph.degrees / graph.strengths)[graph.sources]
    assert mass == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert (graph.sources[alias] == graph.sources).all()


# --- where walks start ---


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_jumper_starts_is_exact_and_spread_evenly_over_the_rules(anchor, share):
    graph, rules = anchor
    starts = sampler(graph, rules, 4, jumper_starts=share, seed=3).draw("train", 0, 6400).walks[:, 0]
    met = Counter(starts.tolist())
    fewest, most = min(met[rule.vertex] for rule in rules), max(met[rule.vertex] for rule in rules)
    by_chance = (1 - share) * 6400 / 500
    assert fewest >= share * 6400 / 8
    assert most <= share * 6400 / 8 + by_chance + 6 * np.sqrt(by_chance)
    assert len(met) == 500 if share <= 0.25 else len(met) >= 8


# --- the same walks, always ---


def test_the_anchor_walks_are_the_same_on_every_machine(anchor):
    graph, rules = anchor
    walks = sampler(graph, rules, 256, seed=42).draw("train", 0, 64).walks
    assert (
        digest_bytes(walks.astype("<u2").tobytes())
        == "sha256:93521ce227bf63f6cd9e98ad3c8f9679e48941a61d7121df49402f59f2f0fd34"
    )


def test_f16_batch_size_and_workers_do_not_show(anchor, monkeypatch):
    graph, rules = anchor
    source = sampler(graph, rules, 64)
    whole = source.draw("train", 0, 500).walks
    for steps, workers in itertools.product((1, 64 * 37, 1 << 20), (1, 2, 5)):
        monkeypatch.setattr(generate, "BATCH_STEPS", steps)
        batches = list(source.batches("train", 100, 300, workers))
        assert [batch.first for batch in batches] == sorted(batch.first for batch in batches)
        assert np.array_equal(np.concatenate([batch.walks for batch in batches]), whole[100:400])


def test_streams_and_seeds_give_other_walks(anchor):
    graph, rules = anchor
    walks = [
        sampler(graph, rules, 64, seed=seed).draw(stream, 0, 200).walks
        for seed, stream in ((1, "train"), (1, "heldout"), (2, "train"))
    ]
    for a, b in itertools.combinations(walks, 2):
        assert not (a == b).all(axis=1).any()


def test_memory_does_not_grow_with_the_number_of_walks(anchor, monkeypatch):
    graph, rules = anchor
    source = sampler(graph, rules, 64)
    monkeypatch.setattr(generate, "BATCH_STEPS", 1 << 14)

    def peak(count):
        tracemalloc.start()
        for _ in source.batches("train", 0, count, workers=2):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(256)
    assert peak(256 * 64) < 2 * peak(256 * 8)


# --- what cannot be drawn ---


def test_a_rule_that_cannot_be_kept_is_refused():
    ring = graph_of({(0, 1): 1, (1, 2): 1, (2, 3): 1, (3, 0): 1}, [0, 0, 1, 1])
    with pytest.raises(DataError) as error:
        sampler(ring, [Rule(vertex=0, r=1, target_block=1)], 8).draw("train", 0, 4)
    assert error.value.code == "WALK_DEAD"


def test_dead_walks_are_drawn_again_and_counted():
    graph = skewed_graph(0)
    rules = plant_rules(graph, RulesConfig(r=(2, 3), jumpers_per_block=4), 32, 0).rules
    blind = sampler(graph, rules, 32, horizon=1).draw("train", 0, 500)
    steered = sampler(graph, rules, 32, horizon=6).draw("train", 0, 500)
    assert blind.redraws > steered.redraws
    assert broken_promises(graph, rules, blind.walks)[0] == []


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [Rule(vertex=40, r=2, target_block=1)],
        [Rule(vertex=0, r=2, target_block=3)],
        [Rule(vertex=0, r=0, target_block=1)],
        [Rule(vertex=0, r=2, target_block=1), Rule(vertex=0, r=3, target_block=2)],
    ],
)
def test_rules_that_do_not_fit_the_graph_are_refused(rules):
    with pytest.raises(DataError) as error:
        sampler(skewed_graph(0), rules, 8)
    assert error.value.code == "WALK_BAD_RULE"


# --- not enough memory ---

STARVED = """
import hashlib, resource
from assets_data.domains.text.walks import generate
from assets_data.domains.text.walks.rules import Rule
from tests.assets_data.domains.text.walks.graphs import sampler, skewed_graph
graph = skewed_graph(0)
source = sampler(graph, [Rule(vertex=0, r=8, target_block=int(graph.blocks[0] == 0))], 256)
FULL = (4 << 20) // 256
def drawn():
    sizes, digest = [], hashlib.sha256()
    for batch in source.batches("train", 0, 3 * FULL, workers=5):
        sizes.append(len(batch.walks))
        digest.update(batch.walks)
        del batch
    return sizes, digest.hexdigest()
small, expected = drawn()
generate.BATCH_STEPS = 4 << 20  # 8 MiB a batch
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (20 << 20), resource.RLIM_INFINITY))
sizes, digest = drawn()
print(max(sizes) == FULL, min(sizes) < FULL, sum(sizes) == 3 * FULL, digest == expected)
"""


def test_f15_batches_that_do_not_fit_into_memory_are_drawn_in_pieces_and_the_others_kept():
    exact = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "1000000"}  # glibc: what is freed is really given back
    result = subprocess.run(
        [sys.executable, "-c", STARVED], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **exact}
    )
    assert result.stdout.split() == ["True"] * 4, result.stdout + result.stderr
