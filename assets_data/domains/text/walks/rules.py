"""Planting rules: which vertices are jumpers, after how many steps, into which block.

A rule (v, r, target) says: a walk that is at v at step t is in the target block at step t + r. Promises the draw order
of published walk-transformer runs (NumPy ``Generator(seed + 1000)``) where every vertex and target is usable.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from assets_data.domains.text.walks.config import RulesConfig
from assets_data.domains.text.walks.graph import Graph
from assets_data.domains.text.walks.reach import ONE, iter_reach, stationary
from assets_data.domains.text.walks.read import Rule
from assets_data.lineage import DataError

SEED_OFFSET = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Planting:
    """The rules, for each the probability that a free walk keeps it by chance, and how many could not be planted."""

    rules: tuple[Rule, ...]
    chances: tuple[float, ...]
    dropped: int


def plant_rules(graph: Graph, config: RulesConfig, walk_length: int, seed: int) -> Planting:
    """``jumpers_per_block`` rules per block, the r values taken in turn, each target uniform among the usable blocks.

    A target is usable when it is another block and its chance is above zero and at most ``max_chance``, so the blocks
    reachable in exactly r steps hold it and at least one other. A vertex without a usable target gives way to another
    eligible vertex of its block, up to half the block's size. Raises DataError WALK_NO_RULES when none was planted.
    """
    rng = np.random.default_rng(seed + SEED_OFFSET)
    planter = _Planter(graph, config, rng)
    visits = stationary(graph) * walk_length
    eligible = (visits >= config.min_visits) & (visits <= (config.max_visits or np.inf))
    wanted = graph.n_blocks * config.jumpers_per_block
    found: list[tuple[Rule, float]] = []
    turn = 0
    for block in range(graph.n_blocks):
        pool = np.flatnonzero(eligible & (graph.blocks == block))
        chosen = rng.choice(pool, size=min(config.jumpers_per_block, len(pool)), replace=False)
        spare = np.setdiff1d(pool, chosen).tolist()
        for vertex in chosen.tolist():
            planted = planter.plant(vertex, turn, spare)
            found += [planted] if planted else []
            turn += 1
    if not found:
        raise DataError("WALK_NO_RULES", "no rule could be planted", action="raise max_chance, widen the visit bounds")
    rules, chances = zip(*found, strict=True)
    return Planting(rules=rules, chances=chances, dropped=wanted - len(rules))


def rule_chances(graph: Graph, rules: Sequence[Rule]) -> tuple[float, ...]:
    """For each rule the probability that a free walk on ``graph`` keeps it by chance."""
    reach = _reach_at(graph, {rule.r for rule in rules})
    return tuple(float(reach[rule.r][rule.target_block, rule.vertex] / ONE) for rule in rules)


class _Planter:
    """One rule at a time: the reach table of each r, and the generator all choices come from, in order."""

    def __init__(self, graph: Graph, config: RulesConfig, rng: np.random.Generator) -> None:
        self.graph, self.config, self.rng = graph, config, rng
        self.r_values = config.r_values()
        self.reach = _reach_at(graph, self.r_values)

    def plant(self, vertex: int, turn: int, spare: list[int]) -> tuple[Rule, float] | None:
        """A rule at ``vertex`` or at a vertex taken out of ``spare``, with its chance; None when none is usable."""
        r, block = self.r_values[turn % len(self.r_values)], self.graph.blocks[vertex]
        for _ in range(1 + int(np.sum(self.graph.blocks == block)) // 2):
            chances = self.reach[r][:, vertex] / ONE
            usable = [b for b, chance in enumerate(chances) if b != block and 0 < chance <= self.config.max_chance]
            if usable:
                target = int(self.rng.choice(usable))
                return Rule(vertex=vertex, r=r, target_block=target), float(chances[target])
            if not spare:
                return None
            vertex = spare.pop(int(self.rng.integers(len(spare))))
        return None


def _reach_at(graph: Graph, r_values: Collection[int]) -> dict[int, np.ndarray]:
    """The reach table of each r."""
    tables = enumerate(islice(iter_reach(graph), max(r_values) + 1))
    return {steps: table for steps, table in tables if steps in r_values}
