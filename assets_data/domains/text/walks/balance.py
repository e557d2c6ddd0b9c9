"""Making every rule equally frequent: the weights of the edges into the jumpers, scaled until pilot walks say so.

A rule that walks meet half as often as another is half as strong a signal to whoever learns from them. A text decides
how often its tokens come, deadlines draw walks to their target blocks, and a long rule loses the encounters whose
deadline lies past the walk's end; so the frequencies are not computed but counted, on walks drawn like the corpus's.
Owns the scaling: no edge is added or taken away, and edges into other vertices keep their proportions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from assets_data.domains.text.walks.census import Census
from assets_data.domains.text.walks.generate import WalkSampler
from assets_data.domains.text.walks.graph import Graph
from assets_data.domains.text.walks.rules import Rule

UNIT = 256  # a factor is a whole number of this many parts, so that weights are the same on every machine
MAX_FACTOR = 32
COUNT_BITS = 18  # of the counts out of one vertex: times UNIT and MAX_FACTOR they stay below what a graph allows
PILOT_WALKS = 4096
ROUNDS = 12


def balance(graph: Graph, rules: Sequence[Rule], encounters: float, sampler: Callable[[Graph], WalkSampler]) -> Graph:
    """The graph on which a walk of ``sampler`` meets each rule ``encounters`` times on average, deadline inside.

    Every weight is multiplied by UNIT, that of an edge into a jumper by the jumper's factor too, corrected in
    proportion after each round of pilot walks; counts that would outgrow a graph lose their low bits first. A factor
    stays inside 1 / UNIT .. MAX_FACTOR; a rule whose jumper would need another is met as often as the bound gives.
    Raises DataError as the sampler does.
    """
    graph = _small_counts(graph)
    jumpers = np.array([rule.vertex for rule in rules])
    factors, scaled = np.ones(len(rules)), graph
    for _ in range(ROUNDS):
        census = Census(scaled, rules)
        census.add(sampler(scaled).draw("pilot", 0, PILOT_WALKS).walks)
        met = np.array([max(1, tally.encounters) for tally in census.tallies()])
        factors = np.clip(factors * (encounters * PILOT_WALKS / met), 1 / UNIT, MAX_FACTOR)
        scaled = _scale(graph, jumpers, factors)
    return scaled


def _small_counts(graph: Graph) -> Graph:
    shift = max(0, int(graph.strengths.max()).bit_length() - COUNT_BITS)
    return replace(graph, weights=np.maximum(graph.weights >> shift, 1))


def _scale(graph: Graph, jumpers: np.ndarray, factors: np.ndarray) -> Graph:
    parts = np.full(graph.n_vertices, UNIT, np.int64)
    parts[jumpers] = np.rint(factors * UNIT)
    return replace(graph, weights=graph.weights * parts[graph.targets])
