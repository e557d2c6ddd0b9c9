"""Random graphs of sources, sliced and whole stages in which everything is made, and then some things change.

Content, config, code, a slice more, a stage run again by itself, and things that change nothing. What a recompute of
everything would redo is the truth that whoever calls names fresh or stale is held against.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import digest_json
from assets_data.lineage.queries.freshness import Expectation
from assets_data.lineage.receipts.receipt import Parent, Receipt

CHANGES = ("content", "config", "code", "slice", "rerun", "again", "spelled", "nothing")
IDLE = 0.02  # share of edits of code or config that leave what a stage makes as it was


@dataclasses.dataclass
class World:
    """Stages with what they would be run with now, and the receipts of what was run.

    ``history`` has ``(name, code version)`` for every run and ``(name, None)`` for every change of content, in order.
    """

    reads: dict[str, dict[str, list[str]]]
    config: dict[str, dict[str, Any]]
    code: dict[str, str]
    content: dict[str, int]
    idle: dict[str, int] = dataclasses.field(default_factory=dict)
    receipts: dict[str, tuple[str, Receipt]] = dataclasses.field(default_factory=dict)
    history: list[tuple[str, str | None]] = dataclasses.field(default_factory=list)

    def run(self, name: str) -> None:
        """Make ``name`` from what stands for its parents now."""
        parents = tuple(
            Parent(group, group, self.receipts[other][0])
            for group, names in self.reads[name].items()
            for other in names
        )
        config, arguments = dict(self.config[name]), {"content": self.content.get(name, 0)}
        made = [name, config["value"] - self.idle.get(name, 0), arguments, sorted(parent.id for parent in parents)]
        made.append(self.code[name].partition("+")[0])
        self.receipts[name] = (digest_json(made), _receipt(name, config, arguments, self.code[name], parents))
        self.history.append((name, self.code[name]))

    def stages(self) -> dict[str, list[str]]:
        """The names of every stage: its slices, or itself if it is whole."""
        stages: dict[str, list[str]] = {}
        for name in self.reads:
            stages.setdefault(name.partition("/")[0], []).append(name)
        return stages

    def expectations(self) -> dict[str, Expectation]:
        """What running each stage now would use."""
        return {
            name: Expectation(
                config=self.config[name],
                code_version=self.code[name],
                arguments={"content": self.content.get(name, 0)},
                parents=self.reads[name],
            )
            for name in self.reads
        }

    def recomputed(self) -> set[str]:
        """The names that a full recompute would run again, on a copy of this world."""
        copy = dataclasses.replace(self, receipts=dict(self.receipts), history=[])
        again = set()
        for name in self.reads:
            before = copy.receipts.get(name)
            key = _key(before[1]) if before else None
            copy.run(name)
            if key != _key(copy.receipts[name][1]):
                again.add(name)
            elif before:
                copy.receipts[name] = before  # reused
        return again


def make_world(rng: random.Random, slices: int) -> World:
    """A random graph in which everything has just been made."""
    stages = [f"stage{i}" for i in range(rng.randint(2, 6))]
    sliced = [stage for stage in stages[:-1] if rng.random() < 0.6] or stages[:1]
    reads: dict[str, dict[str, list[str]]] = {}
    for place, stage in enumerate(stages):
        above = rng.sample(stages[:place], min(place, rng.randint(0 if place == 0 else 1, 3)))
        parts = [f"{stage}/{i}" for i in range(slices)] if stage in sliced else [stage]
        for part in parts:
            reads[part] = {other: _read(part, stage, other, sliced, slices) for other in above}
    return just_made(reads)


def just_made(reads: dict[str, dict[str, list[str]]]) -> World:
    """The world of ``reads``, the names that each name reads by stage, parents first, with everything run once."""
    world = World(reads, {n: {"value": 0} for n in reads}, {n: f"code of {n.partition('/')[0]}" for n in reads}, {})
    for name in reads:
        world.run(name)
    return world


def change(world: World, rng: random.Random) -> str:
    """One change of a random kind; its name."""
    kind, name = rng.choice(CHANGES), rng.choice(list(world.reads))
    idle = rng.random() < IDLE
    if kind == "content":
        world.content[name] = world.content.get(name, 0) + 1
        world.history.append((name, None))
    elif kind == "config":
        world.config[name] = {"value": world.config[name]["value"] + 1}
        world.idle[name] = world.idle.get(name, 0) + idle
    elif kind == "code":
        mark = f"+{rng.random()}" if idle else f"{rng.random()}+"
        for other in world.stages()[name.partition("/")[0]]:
            world.code[other] = world.code[other].partition("+")[0] + mark
    elif kind == "slice":
        _add_slice(world, rng)
    elif kind == "rerun":
        world.run(name)
    elif kind == "again":  # back and forth: nothing is different in the end
        world.config[name] = {"value": world.config[name]["value"] + 1}
        world.config[name] = {"value": world.config[name]["value"] - 1}
    elif kind == "spelled":  # the same config, its members in another order
        world.config[name] = dict(reversed(world.config[name].items()))
    return kind


def tally(fresh: Mapping[str, bool], truth: set[str]) -> Counter[str]:
    """How many names were called fresh or stale wrongly; ``truth`` has those that a recompute would run again."""
    return Counter(
        {
            "names": len(fresh),
            "stale": len(truth),
            "false fresh": sum(called and name in truth for name, called in fresh.items()),
            "false stale": sum(not called and name not in truth for name, called in fresh.items()),
        }
    )


def rates(counts: Mapping[str, int]) -> dict[str, float]:
    """The shares of all names that were called fresh, or stale, wrongly."""
    return {f"{k.replace(' ', '_')}_rate": counts[k] / counts["names"] for k in ("false fresh", "false stale")}


def _read(part: str, stage: str, other: str, sliced: list[str], slices: int) -> list[str]:
    if other not in sliced:
        return [other]
    own = f"{other}/{part.partition('/')[2]}"
    return [own] if stage in sliced else [f"{other}/{i}" for i in range(slices)]


def _add_slice(world: World, rng: random.Random) -> None:
    """A slice more of a stage that reads nothing; whatever reads all of its slices reads one more."""
    sources = sorted({n.partition("/")[0] for n, reads in world.reads.items() if "/" in n and not reads})
    if not sources:
        return
    stage = rng.choice(sources)
    name = f"{stage}/{sum(n.partition('/')[0] == stage for n in world.reads)}"
    world.reads = {name: {}, **world.reads}
    world.config[name], world.code[name] = {"value": 0}, world.code[f"{stage}/0"]
    world.run(name)
    for other, reads in world.reads.items():
        if "/" not in other and stage in reads:
            reads[stage] = [*reads[stage], name]


def _receipt(name: str, config: Any, arguments: Any, code: str, parents: tuple[Parent, ...]) -> Receipt:
    return Receipt(
        path=Path("receipt.json"),
        id="receipt",
        subject="",
        stage=name,
        config=config,
        arguments=arguments,
        requested={},
        code_version=code,
        seeds={},
        parents=parents,
        sources=(),
        commit=None,
        dirty=None,
        diff=None,
        lock="",
        environment={},
        started="",
        finished="",
    )


def _key(receipt: Receipt) -> str:
    parents = sorted((parent.input, parent.id) for parent in receipt.parents)
    return digest_json([receipt.stage, receipt.config, receipt.arguments, receipt.code_version, parents])
