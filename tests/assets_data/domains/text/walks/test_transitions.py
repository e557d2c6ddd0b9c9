import itertools
from collections import Counter

import numpy as np
import pytest

from assets_data.domains.text.walks.blocks import find_blocks
from assets_data.domains.text.walks.config import TransitionsGraph
from assets_data.domains.text.walks.transitions import Bigrams, count_bigrams, transition_graph
from assets_data.lineage import DataError

from .graphs import edge_set, graph_of


def windows(seed=0, count=40, vocabulary=30):
    """Windows of Zipf tokens, empty ones among them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 60, count)
    return [np.minimum(rng.zipf(1.3, length), vocabulary) - 1 for length in lengths]


def batched(parts, size):
    for begin in range(0, len(parts), size):
        batch = parts[begin : begin + size]
        values = np.concatenate(batch).astype(np.uint16)
        yield values, np.concatenate([[0], np.cumsum([len(part) for part in batch])])


def counted(parts, vocab_size, size=7) -> Bigrams:
    return count_bigrams(lambda: batched(parts, size), vocab_size)


def as_pairs(bigrams: Bigrams) -> dict:
    ids = bigrams.token_ids
    pairs = zip(ids[bigrams.source].tolist(), ids[bigrams.target].tolist(), strict=True)
    return dict(zip(pairs, bigrams.count.tolist(), strict=True))


def test_bigrams_are_those_inside_a_window_between_the_most_frequent_tokens():
    parts = windows()
    frequency = Counter(itertools.chain.from_iterable(part.tolist() for part in parts))
    top = sorted(frequency, key=lambda token: (-frequency[token], token))[:9]
    expected = Counter(pair for part in parts for pair in itertools.pairwise(part.tolist()) if set(pair) <= set(top))
    bigrams = counted(parts, 9)
    assert bigrams.token_ids.tolist() == top
    assert as_pairs(bigrams) == expected


def test_neither_the_order_nor_the_batching_of_windows_matters():
    parts = windows(1)
    expected = counted(parts, 12)
    for other in (counted(parts[::-1], 12), counted(parts, 12, size=1), counted(parts, 12, size=100)):
        assert other.token_ids.tolist() == expected.token_ids.tolist()
        assert as_pairs(other) == as_pairs(expected)


def test_a_token_that_never_occurs_is_no_vertex():
    assert counted([np.array([5, 6, 5])], 20).token_ids.tolist() == [5, 6]


def test_no_text_is_refused():
    with pytest.raises(DataError) as error:
        transition_graph(count_bigrams(lambda: iter(()), 8), TransitionsGraph(), 0)
    assert error.value.code == "WALK_EMPTY_GRAPH"


def test_edges_are_the_bigrams_seen_often_enough_with_their_counts():
    parts = windows(2, count=400)
    bigrams = counted(parts, 25)
    least = int(np.sort(bigrams.count)[-60])
    config = TransitionsGraph(vocab_size=25, min_count=least, blocks=2)
    graph, dropped = transition_graph(bigrams, config, 0)
    named = {
        (int(graph.token_ids[s]), int(graph.token_ids[t])): int(w)
        for s, t, w in zip(graph.sources, graph.targets, graph.weights, strict=True)
    }
    often = {pair: count for pair, count in as_pairs(bigrams).items() if count >= least}
    kept = set(graph.token_ids.tolist())
    assert named == {pair: count for pair, count in often.items() if pair[0] != pair[1] and set(pair) <= kept}
    assert dropped.self_loops == sum(a == b for a, b in often)
    assert len(kept) + dropped.isolated + dropped.unreachable == 25
    assert dropped.self_loops > 0 and dropped.isolated + dropped.unreachable > 0


def cliques(sizes, inside=50, between=1):
    blocks = np.repeat(np.arange(len(sizes)), sizes)
    pairs = itertools.permutations(range(len(blocks)), 2)
    return graph_of({(a, b): inside if blocks[a] == blocks[b] else between for a, b in pairs}, blocks.tolist())


def test_blocks_are_the_communities_largest_first():
    graph = cliques([4, 9, 6])
    assert find_blocks(graph, 3, 1.0, 0).tolist() == [2] * 4 + [0] * 9 + [1] * 6


def test_the_smallest_communities_join_the_one_they_exchange_most_with():
    graph = cliques([9, 6, 4])
    weights = graph.weights.copy()
    weights[(graph.sources >= 15) & (graph.targets < 15) & (graph.targets >= 9)] = 3  # the four lean towards the six
    leaning = graph_of(
        dict(zip(zip(graph.sources.tolist(), graph.targets.tolist(), strict=True), weights.tolist(), strict=True)),
        graph.blocks.tolist(),
    )
    blocks = find_blocks(leaning, 2, 1.0, 0)
    assert len(set(blocks[9:].tolist())) == 1 and blocks[0] != blocks[9]


def test_resolution_rises_until_there_are_enough_blocks():
    graph = cliques([8, 8])
    assert len(set(find_blocks(graph, 2, 1e-3, 0).tolist())) == 2


def test_a_graph_without_enough_communities_is_refused():
    ring = graph_of({(0, 1): 1, (1, 0): 1}, [0, 0])
    with pytest.raises(DataError) as error:
        find_blocks(ring, 3, 1.0, 0)
    assert error.value.code == "WALK_TOO_FEW_BLOCKS"


def test_blocks_do_not_depend_on_anything_but_the_graph_and_the_seed():
    parts = windows(3, count=400)
    config = TransitionsGraph(vocab_size=25, min_count=2, blocks=3)
    first, again = (transition_graph(counted(parts, 25), config, 5)[0] for _ in range(2))
    assert first.blocks.tolist() == again.blocks.tolist()
    assert edge_set(first) == edge_set(again)
    assert sorted(set(first.blocks.tolist())) == [0, 1, 2]
