"""The token-transition graph: what follows what in a text, how often.

Owns bigram counting over token windows and the graph made from the counts. Memory is bounded by the tokenizer's
vocabulary and the number of distinct bigrams, not by the text. The order of the windows does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from assets_data.domains.text.walks.blocks import find_blocks
from assets_data.domains.text.walks.config import TransitionsGraph
from assets_data.domains.text.walks.graph import Dropped, Graph, assemble

Windows = Iterable[tuple[np.ndarray, np.ndarray]]
"""Batches of windows: token ids and int64 offsets, window i being ``values[offsets[i]:offsets[i + 1]]``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bigrams:
    """Counts among the most frequent tokens. ``token_ids`` int64[V], most frequent first; ``source`` and ``target`` are
    places in it, ``count`` int64 how often target follows source inside a window.
    """

    token_ids: np.ndarray
    source: np.ndarray
    target: np.ndarray
    count: np.ndarray


def count_bigrams(windows: Callable[[], Windows], vocab_size: int) -> Bigrams:
    """Bigrams among the ``vocab_size`` most frequent tokens (of equals, the lower id). Reads the windows twice."""
    frequency = np.zeros(0, np.int64)
    for values, _ in windows():
        batch = np.bincount(values, minlength=len(frequency))
        batch[: len(frequency)] += frequency
        frequency = batch
    token_ids = np.argsort(-frequency, kind="stable")[:vocab_size]
    token_ids = token_ids[frequency[token_ids] > 0]
    place = np.full(len(frequency), -1, np.int64)
    place[token_ids] = np.arange(len(token_ids))
    pairs, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for values, offsets in windows():
        new = _pairs(place[values], offsets, len(token_ids))
        pairs, inverse = np.unique(np.concatenate([pairs, new]), return_inverse=True)
        merged = np.zeros(len(pairs), np.int64)
        np.add.at(merged, inverse, np.concatenate([counts, np.ones(len(new), np.int64)]))
        counts = merged
    source, target = np.divmod(pairs, max(1, len(token_ids)))
    return Bigrams(token_ids=token_ids, source=source, target=target, count=counts)


def transition_graph(bigrams: Bigrams, config: TransitionsGraph, seed: int) -> tuple[Graph, Dropped]:
    """The graph of the bigrams seen at least ``min_count`` times, in Louvain blocks. Errors as ``assemble`` and
    ``find_blocks``.
    """
    seen = bigrams.count >= config.min_count
    graph, dropped = assemble(
        len(bigrams.token_ids),
        bigrams.source[seen],
        bigrams.target[seen],
        bigrams.count[seen],
        token_ids=bigrams.token_ids,
    )
    return graph.with_blocks(find_blocks(graph, config.blocks, config.resolution, seed)), dropped


def _pairs(places: np.ndarray, offsets: np.ndarray, n: int) -> np.ndarray:
    """source * n + target of every pair of neighbours inside one window, both among the n tokens."""
    inside = np.ones(max(0, len(places) - 1), bool)
    edges = offsets[1:-1]
    inside[edges[(edges > 0) & (edges < len(places))] - 1] = False
    source, target = places[:-1], places[1:]
    kept = inside & (source >= 0) & (target >= 0)
    return source[kept] * n + target[kept]
