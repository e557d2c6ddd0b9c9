"""Stock Dagster beside `stemma status`: the records are those that real runs leave, the verdicts are its own."""

import dataclasses

import pytest
from dagster import AssetKey, DagsterInstance, materialize

from assets_data.lineage.queries.freshness import judge
from benchmarks.lineage_status import compare
from benchmarks.lineage_worlds import just_made
from benchmarks.stock_records import Records, address, assets_of
from benchmarks.stock_staleness import passed_on, resolved, statuses


def small_world(slices=2):
    """Two sliced stages, one that both slices read whole, and one that reads all slices."""
    parts = [str(i) for i in range(slices)]
    reads = {f"raw/{part}": {} for part in parts} | {"tokenizer": {"raw": [f"raw/{part}" for part in parts]}}
    reads |= {f"triples/{part}": {"raw": [f"raw/{part}"], "tokenizer": ["tokenizer"]} for part in parts}
    return just_made(reads | {"manifest": {"triples": [f"triples/{part}" for part in parts]}})


def stale(world):
    return {name for name, fresh in statuses(world).items() if not fresh}


def set_code(world, stage, code):
    world.code |= {name: code for name in world.stages()[stage]}


def change_content(world, name):
    world.content[name] = world.content.get(name, 0) + 1
    world.history.append((name, None))


class Executed(Records):
    """Has Dagster itself run the stages named; the rest is written as ever."""

    def __init__(self, instance, world, stages):
        super().__init__(instance, world)
        self.stages = stages

    def materialize(self, name, code):
        stage, part = address(name)
        if stage not in self.stages:
            return super().materialize(name, code)
        then = dataclasses.replace(self.world, code=dict(self.world.code))
        set_code(then, stage, code)
        assert materialize(assets_of(then), selection=[stage], partition_key=part, instance=self.instance).success


def recorded(instance, world):
    """The tags of every event, oldest first by asset; a pointer is told by the place of the event it points to."""
    found, place = [], {"NULL": None}
    for key in [AssetKey(name) for stage in world.stages() for name in (stage, f"{stage}_source")]:
        records = [*instance.fetch_materializations(key, 1000).records, *instance.fetch_observations(key, 1000).records]
        records.sort(key=lambda record: record.storage_id)
        place |= {str(record.storage_id): (key, number) for number, record in enumerate(records)}
        found += [(key, record.partition_key, record.event_log_entry.tags) for record in records]
    return [
        (key, part, {tag: place[value] if "pointer" in tag else value for tag, value in tags.items()})
        for key, part, tags in found
    ]


def both(world, stages):
    """What is recorded and what is called fresh, when written and when Dagster runs ``stages``."""
    for records in (Records, lambda instance, world: Executed(instance, world, stages)):
        with DagsterInstance.ephemeral() as instance:
            records(instance, world).replay()
            yield recorded(instance, world), resolved(instance, world)


def test_written_records_and_verdicts_are_those_of_real_runs():
    world = small_world()
    change_content(world, "raw/1")
    world.run("raw/1")
    set_code(world, "raw", "other code")
    world.run("raw/0")
    world.run("triples/0")
    set_code(world, "tokenizer", "other code")
    change_content(world, "manifest")
    written, executed = both(world, set(world.stages()))
    assert written == executed
    assert {True, False} == set(written[1].values())


def test_written_records_are_those_of_a_real_run_that_reads_many_slices():
    world = small_world(slices=120)
    written, executed = both(world, {"manifest"})
    assert written == executed


def test_an_unchanged_world_is_fresh_for_dagster():
    assert stale(small_world()) == set()


def test_a_change_of_code_is_stale_for_dagster_but_what_is_below_only_when_passed_on():
    world = small_world()
    set_code(world, "tokenizer", "other code")
    assert stale(world) == {"tokenizer"}
    below = {name for name, fresh in passed_on(world, statuses(world)).items() if not fresh}
    assert below == world.recomputed() == {"tokenizer", "triples/0", "triples/1", "manifest"}


def test_a_change_of_content_outside_is_stale_for_dagster_where_it_is_observed():
    world = small_world()
    change_content(world, "raw/1")
    assert stale(world) == {"raw/1"}


def test_a_change_of_config_is_false_fresh_for_dagster_even_after_its_stage_was_run_again():
    world = small_world()
    world.config["tokenizer"] = {"value": 1}
    assert "tokenizer" in world.recomputed() and stale(world) == set()
    world.run("tokenizer")
    assert world.recomputed() == {"triples/0", "triples/1", "manifest"} and stale(world) == set()
    standings = judge(world.receipts, world.expectations())
    assert {name for name, standing in standings.items() if not standing.fresh} == world.recomputed()


@pytest.mark.parametrize(("slices", "seen"), [(99, True), (100, False)])
def test_a_slice_made_anew_is_not_seen_among_a_hundred(slices, seen):
    world = small_world(slices)
    set_code(world, "triples", "other code")
    world.run("triples/0")
    assert "manifest" in world.recomputed() and ("manifest" in stale(world)) == seen


def test_counts_stand_beside_ours_on_the_same_graphs():
    figures = compare(6, 5, stock_graphs=4)
    stock, ours = figures["stock_dagster"], compare(4, 5)
    assert stock["graphs"] == 4 and stock["partitions_unchecked_from"] is None
    assert all(stock["stemma"][key] == ours[key] for key in ("names", "stale", "false fresh", "false stale"))
    for who in ("as_it_is", "passed_on"):
        assert stock[who]["names"] == ours["names"]
        assert sum(stock[who]["false fresh after"].values()) == stock[who]["false fresh"]
