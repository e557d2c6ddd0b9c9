import itertools
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest

from assets_data.domains.text.walks import read as scoring
from assets_data.domains.text.walks.read import Count, Rule, WalkGraph, check_rules, score_corpus
from assets_data.lineage import Store
from tests.assets_data.domains.text.tampered import publish
from tests.training.walks import RULES, VERTICES, exact_walks, neighbours


def planted() -> list[Rule]:
    return [Rule(vertex=vertex, r=r, target_block=target) for vertex, r, target in RULES]


def published(store, train: np.ndarray, heldout: np.ndarray):
    """A corpus of these walks over the small graph, each split in three record batches."""
    edges = neighbours()
    sources = np.repeat(np.arange(VERTICES, dtype=np.uint32), edges.shape[1])
    tables = {
        "vertices.arrow": pa.table({"block": (np.arange(VERTICES) // 8).astype(np.uint16)}),
        "edges.arrow": pa.table({"source": sources, "target": edges.ravel().astype(np.uint32)}),
        "rules.arrow": pa.Table.from_pylist([asdict(rule) for rule in planted()]),
    }
    for split, walks in (("train", train), ("heldout", heldout)):
        parts = [pa.FixedSizeListArray.from_arrays(w.ravel(), w.shape[1]) for w in np.array_split(walks, 3)]
        tables[f"{split}.arrow"] = pa.table({"tokens": pa.chunked_array(parts)})
    return publish(store, "text/walk_corpus", tables, {}, "walks")


def small_graph() -> WalkGraph:
    edges = neighbours()
    sources = np.repeat(np.arange(VERTICES), edges.shape[1])
    return WalkGraph(sources, edges.ravel(), np.arange(VERTICES) // 8, planted())


def brute_force(tokens: np.ndarray) -> tuple[int, int, dict[int, list[int]]]:
    """The metric word for word, one position at a time."""
    allowed = {(v, int(u)) for v, row in enumerate(neighbours()) for u in row}
    pairs = valid = 0
    rules = {vertex: [0, 0] for vertex, *_ in RULES}
    for walk in tokens.tolist():
        for a, b in itertools.pairwise(walk):
            pairs, valid = pairs + 1, valid + ((a, b) in allowed)
        for vertex, r, target in RULES:
            for t, here in enumerate(walk):
                if here == vertex and t + r < len(walk):
                    rules[vertex][1] += 1
                    rules[vertex][0] += walk[t + r] // 8 == target
    return valid, pairs, rules


@pytest.mark.parametrize("length", [2, 4, 5, 10, 40])
def test_counts_agree_with_brute_force(length):
    tokens = np.random.default_rng(length).integers(0, VERTICES, (60, length)).astype(np.uint16)
    valid, pairs, rules = brute_force(tokens)
    score = small_graph().score(tokens)
    assert (score.edges.hits, score.edges.checks) == (valid, pairs) and 0 < valid < pairs
    assert [[count.hits, count.checks] for count in score.rules] == list(rules.values())


def test_the_sparse_edge_lookup_agrees_with_the_dense_one(monkeypatch):
    tokens = np.random.default_rng(0).integers(0, VERTICES, (60, 30))
    dense = small_graph().edges(tokens)
    monkeypatch.setattr(scoring, "DENSE_VERTICES", 0)
    assert small_graph().edges(tokens) == dense


def test_nested_encounters_count_and_the_last_position_is_a_deadline():
    graph = WalkGraph(np.array([0]), np.array([1]), np.array([0, 1]), [Rule(vertex=0, r=2, target_block=1)])
    score = graph.score(np.array([[0, 0, 1, 0]]))
    assert score.rules == (Count(1, 2),)


def test_tokens_outside_the_graph_are_no_edge_and_in_no_block():
    score = small_graph().score(np.array([[0, VERTICES, 65535, 3, VERTICES + 8]], np.uint16))
    assert score.edges.hits == 0 and score.rules[0] == Count(0, 1)
    looped = WalkGraph(np.array([0]), np.array([0]), np.array([0, 1]), [])
    assert looped.edges(np.array([[0, 0, 7, 7, 0]])) == Count(1, 4)


def test_exact_walks_score_one_and_shuffled_ones_do_not():
    walks = exact_walks(100, 0)
    score = small_graph().score(walks)
    assert score.edge_compliance == score.rule_compliance == 1.0 and min(c.checks for c in score.rules) > 20
    shuffled = np.random.default_rng(0).permuted(walks, axis=1)
    assert small_graph().score(shuffled).rule_compliance < 0.6


def test_zero_checks_have_no_rate():
    score = small_graph().score(np.full((2, 3), 5))
    assert score.rule_compliance is None and score.rule_checks == 0


def test_a_corpus_is_scored_whole_over_all_its_batches(store):
    corpus = published(store, exact_walks(50, 0), exact_walks(20, 1))
    assert len(corpus.table("train.arrow").to_batches()) == 3
    score = score_corpus(corpus)
    whole = small_graph().score(np.concatenate([exact_walks(50, 0), exact_walks(20, 1)]))
    assert score == whole and score.edges.checks == 70 * 47


def test_the_check_passes_exact_walks_and_fails_one_broken_rule_or_step_in_either_split(store, tmp_path):
    train, heldout = exact_walks(50, 0), exact_walks(20, 1)
    sound = check_rules(store, published(store, train, heldout))
    assert sound.passed and sound.facts["rule_compliance"] == sound.facts["edge_compliance"] == 1.0
    checks = sound.facts["rule_checks"]
    vertex, r, target = RULES[0]
    row, step = np.argwhere(heldout[:, :-r] == vertex)[0]
    heldout[row, step + r] = ((target + 1) % 3) * 8  # a vertex of another block
    off_rule = check_rules(store, published(Store(tmp_path / "rule"), train, heldout))
    assert not off_rule.passed and 1 - 8 / checks < off_rule.facts["rule_compliance"] < 1
    train[7, 5] = train[7, 4]  # no vertex is its own neighbour
    off_edge = check_rules(store, published(Store(tmp_path / "edge"), train, exact_walks(20, 1)))
    assert not off_edge.passed and off_edge.facts["edge_compliance"] < 1
