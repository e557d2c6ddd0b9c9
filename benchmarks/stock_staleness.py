"""What stock Dagster calls fresh on the worlds of ``lineage_status``, and why it is wrong where it is.

Dagster's own resolver is asked for every name. It calls an asset stale where its code version or the data version of a
direct input is another one, and leaves what is below for later; so its verdicts are counted as they are and, more
favourably, with everything below a stale asset taken to be stale too.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Any

from dagster import AssetKey, DagsterInstance, Definitions
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster._utils.warnings import disable_dagster_warnings

from assets_data.lineage.queries.freshness import PARENT, Standing
from benchmarks.lineage_worlds import World, just_made, rates, tally
from benchmarks.stock_records import Records, address, assets_of


class StockDagster:
    """Dagster's verdicts on one world after another against the truth, beside ours."""

    def __init__(self, most_slices: int) -> None:
        self.unchecked = first_unchecked(most_slices)
        self.graphs, self.seconds = 0, 0.0
        self.verdicts = {who: Counter[str]() for who in ("stemma", "as_it_is", "passed_on")}
        self.causes = {who: Counter[str]() for who in ("as_it_is", "passed_on")}

    def add(self, world: World, truth: set[str], standings: Mapping[str, Standing]) -> None:
        """Ask Dagster about one more world; ``standings`` are our own verdicts on it."""
        started = time.perf_counter()
        fresh = statuses(world)
        self.seconds += time.perf_counter() - started
        self.graphs += 1
        self.verdicts["stemma"].update(tally({name: standings[name].fresh for name in fresh}, truth))
        for who, called in {"as_it_is": fresh, "passed_on": passed_on(world, fresh)}.items():
            self.verdicts[who].update(tally(called, truth))
            missed = [name for name in truth if called[name]]
            self.causes[who].update(self._cause(world, standings, called, name) for name in missed)

    def figures(self) -> dict[str, Any]:
        """Counts, rates and causes over all worlds; ``partitions_unchecked_from`` is measured, not looked up."""
        verdicts = {who: {**counts, **rates(counts)} for who, counts in self.verdicts.items()}
        for who, causes in self.causes.items():
            verdicts[who]["false fresh after"] = dict(causes)
        seconds = round(self.seconds, 1)
        return {"graphs": self.graphs, "seconds": seconds, "partitions_unchecked_from": self.unchecked, **verdicts}

    def _cause(self, world: World, standings: Mapping[str, Standing], called: Mapping[str, bool], name: str) -> str:
        """What made ``name`` stale unseen: its own, or that of the nearest one above that was not seen either."""
        own = [kind for kind, _ in standings[name].reasons if kind != PARENT]
        if own:
            return own[0]
        read = {parent.id for parent in world.receipts[name][1].parents}
        groups = world.reads[name].values()
        moved = [len(names) for names in groups if any(world.receipts[other][0] not in read for other in names)]
        if moved:
            many = self.unchecked is not None and max(moved) >= self.unchecked
            return "too many partitions" if many else "a parent made anew under the same data version"
        above = [other for names in groups for other in names if not standings[other].fresh]
        if not all(called[other] for other in above):
            return "not passed on"
        return self._cause(world, standings, called, above[0])


def statuses(world: World) -> dict[str, bool]:
    """Whether stock Dagster calls each name of ``world`` fresh; one never made is not."""
    with disable_dagster_warnings(), DagsterInstance.ephemeral() as instance:
        Records(instance, world).replay()
        return resolved(instance, world)


def resolved(instance: DagsterInstance, world: World) -> dict[str, bool]:
    """What Dagster's resolver makes of the events that are in ``instance``."""
    graph = Definitions(assets=assets_of(world)).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    fresh = {}
    for name in world.reads:
        stage, part = address(name)
        fresh[name] = resolver.get_status(AssetKey(stage), part) is StaleStatus.FRESH
    return fresh


def passed_on(world: World, fresh: Mapping[str, bool]) -> dict[str, bool]:
    """``fresh``, but stale for every name that reads, at any distance, one that is not."""
    passed: dict[str, bool] = {}
    for name, reads in world.reads.items():
        passed[name] = fresh[name] and all(passed[other] for names in reads.values() for other in names)
    return passed


def first_unchecked(most: int) -> int | None:
    """The least number of slices of which one can be made anew by other code and their reader still be called fresh.

    None if there is no such number up to ``most``.
    """

    def unchecked(slices: int) -> bool:
        parts = [f"sliced/{i}" for i in range(slices)]
        world = just_made({**{part: {} for part in parts}, "whole": {"sliced": parts}})
        world.code |= {part: "other code" for part in parts}
        world.run(parts[0])
        return statuses(world)["whole"]

    found = 1 + bisect_left(range(1, most + 1), True, key=unchecked)
    return found if found <= most else None
