"""Walks from a graph and its rules: alias tables, batches, threads. Owns the stream layout; writes nothing.

Promises that the walks of a stream are the same for any batch size and number of workers. Workers are threads (the
compiled loop releases the interpreter lock), so there is no worker process to lose: a batch that does not fit into
memory is drawn again in smaller pieces when its turn comes, and the batches around it are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from assets_data.domains.text.walks.draw import draw_walks
from assets_data.domains.text.walks.graph import Graph
from assets_data.domains.text.walks.reach import iter_reach, relative
from assets_data.domains.text.walks.rules import Rule
from assets_data.lineage import DataError
from assets_data.lineage.identity.order import stream_key

ATTEMPTS = 1000
BATCH_STEPS = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Walks ``first`` .. of a stream, unsigned ints [B, L], and how many dead walks were drawn again."""

    first: int
    walks: np.ndarray
    redraws: int


class WalkSampler:
    """Draws walks of ``length`` vertices by number. Holds what the compiled loop needs: alias tables, rule columns,
    reach tables up to the horizon. Raises DataError WALK_BAD_RULE for rules that do not fit the graph.
    """

    def __init__(
        self, graph: Graph, rules: Sequence[Rule], *, length: int, horizon: int, jumper_starts: float, seed: int
    ) -> None:
        _check_rules(graph, rules)
        jump, block = np.zeros((2, graph.n_vertices), np.int32)
        for rule in rules:
            jump[rule.vertex], block[rule.vertex] = rule.r, rule.target_block
        self._edges = (graph.offsets, graph.targets, graph.weights, *alias_table(graph))
        self._rules = (jump, block)
        self._reach = relative(np.stack(list(islice(iter_reach(graph), horizon))))
        self._jumpers = np.array([rule.vertex for rule in rules], np.int64)
        self._jumper_share = np.uint64(round(jumper_starts * 2**32))
        self._seed, self.length = seed, length
        self.dtype = np.dtype(np.uint16 if graph.n_vertices <= 1 << 16 else np.uint32)

    def draw(self, stream: str, first: int, count: int) -> Batch:
        """``count`` walks of a stream from number ``first`` on. Raises DataError WALK_DEAD for one that cannot live."""
        walks = np.empty((count, self.length), self.dtype)
        key = stream_key(self._seed, f"walks/{stream}")
        redraws = draw_walks(
            self._edges, self._rules, self._reach, self._jumpers, self._jumper_share, key, first, ATTEMPTS, walks
        )
        if redraws < 0:
            raise DataError(
                "WALK_DEAD",
                f"walk {-1 - redraws} of stream {stream!r} met a deadline it could not keep in {ATTEMPTS} attempts",
                action="raise horizon, or plant fewer rules or rules with a higher chance",
            )
        return Batch(first, walks, int(redraws))

    def batches(self, stream: str, first: int, count: int, workers: int) -> Iterator[Batch]:
        """The same walks in order, in batches of about a million steps; at most ``workers`` + 1 are in memory."""
        size = max(1, BATCH_STEPS // self.length)
        pending: deque[tuple[int, int, Future[Batch]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            for begin in range(first, first + count, size):
                length = min(size, first + count - begin)
                pending.append((begin, length, pool.submit(self.draw, stream, begin, length)))
                if len(pending) > workers:
                    yield from self._take(stream, *pending.popleft())
            while pending:
                yield from self._take(stream, *pending.popleft())

    def _take(self, stream: str, first: int, count: int, future: Future[Batch] | None = None) -> Iterator[Batch]:
        """A batch that was being drawn, or is drawn now; in halves, ever smaller, where memory does not suffice."""
        batch = None
        try:
            batch = future.result() if future else self.draw(stream, first, count)
        except MemoryError:
            if count == 1:
                raise
        if batch:
            yield batch
            return
        yield from self._take(stream, first, count // 2)
        yield from self._take(stream, first + count // 2, count - count // 2)


def _check_rules(graph: Graph, rules: Sequence[Rule]) -> None:
    for rule in rules:
        if not (0 <= rule.vertex < graph.n_vertices and 0 <= rule.target_block < graph.n_blocks and rule.r >= 1):
            raise DataError("WALK_BAD_RULE", "a rule names a vertex, block or r that does not exist", found=rule)
    if not rules or len({rule.vertex for rule in rules}) < len(rules):
        raise DataError("WALK_BAD_RULE", "walks need rules, at most one per vertex", found=list(rules))


def alias_table(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Alias tables of the edge weights (Vose 1991): ``cut`` uint64[E] in 0 .. 2**32 and ``alias`` int32[E], an edge.

    Slot e keeps edge e when 32 random bits are below cut[e], else gives edge alias[e]. Whole-number arithmetic: the
    tables are the same on every machine, and a probability is off by less than 2**-32.
    """
    cut = np.full(graph.n_edges, 1 << 32, np.uint64)
    alias = np.arange(graph.n_edges, dtype=np.int32)
    for begin, end in zip(graph.offsets[:-1].tolist(), graph.offsets[1:].tolist(), strict=True):
        weights = graph.weights[begin:end].tolist()
        if min(weights) == max(weights):
            continue
        total, left = sum(weights), [weight * len(weights) for weight in weights]
        small = [j for j, mass in enumerate(left) if mass < total]
        large = [j for j, mass in enumerate(left) if mass >= total]
        while small and large:
            low, high = small.pop(), large[-1]
            cut[begin + low], alias[begin + low] = (left[low] << 32) // total, begin + high
            left[high] -= total - left[low]
            if left[high] < total:
                small.append(large.pop())
    return cut, alias
