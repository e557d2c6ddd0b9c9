"""Learners that had learned from records which are held out now: a tokenizer, a graph, statistics, a teacher."""

import pyarrow as pa
import pytest

from assets_data.lineage.queries.leaks import find_leaks
from assets_data.lineage.queries.reach import EVERYTHING, NOTHING, ROWS
from assets_data.lineage.queries.tree import load_tree
from assets_data.stage import learns_from
from tests.assets_data.lineage.mini_chain import MODULE, MiniConfig, json_stage, record_id

SAID = {
    "toy/rows": ROWS,
    "toy/dataset_manifest": NOTHING,
    "toy/tokenizer": learns_from("train"),
    "toy/statistics": EVERYTHING,
    "toy/checkpoint": NOTHING,
}


def rows(store, **splits):
    """A table of records, each in the split it is listed under."""
    pairs = [(record_id(text), split) for split, texts in splits.items() for text in texts]
    table = pa.table({"record_id": [p[0] for p in pairs], "split": [p[1] for p in pairs]})

    def build(writer):
        writer.write_table("rows.parquet", table)

    return store.run_stage(
        name="toy/rows", module=MODULE, config=MiniConfig(), parents={}, arguments=splits, build=build
    )


def by_file(store, **splits):
    """The same, with a table for each split."""

    def build(writer):
        for split, texts in splits.items():
            writer.write_table(f"{split}.arrow", pa.table({"record_id": [record_id(text) for text in texts]}))
            writer.splits[split] = len(texts)

    return store.run_stage(
        name="toy/rows", module=MODULE, config=MiniConfig(), parents={}, arguments=splits, build=build
    )


def learner(store, kind, *parents):
    return json_stage(store, kind, {"rows": list(parents)}, MiniConfig(), "learned.json", [p.id for p in parents])


def leaks(store, tables, *learners, alike=()):
    members = [table.id for table in tables]
    manifest = json_stage(store, "toy/dataset_manifest", {"rows": tables}, MiniConfig(), "manifest.json", members)
    ids = [manifest.id, *(snapshot.id for snapshot in learners)]
    return {leak.learner: leak.records for leak in find_leaks(load_tree(store, ids), ids, SAID.get, alike)}


@pytest.mark.parametrize("make", [rows, by_file])
def test_what_a_learner_of_one_split_took_is_in_a_test_split_that_came_later(store, make):
    before = make(store, train=["a", "b", "c", "d"], test=["e"])
    tokenizer = learner(store, "toy/tokenizer", before)
    assert leaks(store, [before], tokenizer) == {}
    later = make(store, train=["f", "e"], test=["a", "b", "g"], validation=["c"])
    assert leaks(store, [later], tokenizer) == {tokenizer.id: 3}


def test_what_it_did_not_learn_from_is_no_leak(store):
    before = rows(store, train=["a"], test=["b", "c"])
    assert leaks(store, [rows(store, train=["d"], test=["b", "c"])], learner(store, "toy/tokenizer", before)) == {}


@pytest.mark.parametrize("make", [rows, by_file])
def test_a_record_whose_parts_are_in_both_splits_is_not_held_out_but_one_that_left_training_is(store, make):
    """A sequence has regions in every split; the unit that is held out there is the region."""
    parted = make(store, train=["sequence", "a"], test=["sequence", "b"])
    learned = learner(store, "toy/tokenizer", parted)
    assert leaks(store, [parted], learned) == {}
    assert leaks(store, [make(store, train=["a"], test=["sequence"])], learned) == {learned.id: 1}


def test_statistics_over_everything_have_seen_the_test_split_itself(store):
    table = rows(store, train=["a"], test=["b", "c"])
    statistics = learner(store, "toy/statistics", table)
    assert leaks(store, [table], statistics) == {statistics.id: 2}


def test_a_teacher_that_was_trained_on_rows_which_are_test_rows_now(store):
    then = by_file(store, train=["a", "b"], test=["c"])
    facts = {"order": {"tables": [{"snapshot": then.id, "file": "train.arrow", "chunks": 0}]}}

    def build(writer):
        writer.write_json("weights.json", 1)
        writer.write_json("training.json", facts, sidecar=True)

    teacher = store.run_stage(
        name="toy/checkpoint", module=MODULE, config=MiniConfig(), parents={"rows": then}, build=build
    )
    assert leaks(store, [by_file(store, train=["c"], test=["b", "d"])], teacher) == {teacher.id: 1}
    assert leaks(store, [by_file(store, train=["c"], test=["d"])], teacher) == {}


def test_another_spelling_of_a_test_record_counts_as_it(store):
    before = rows(store, train=["a", "other spelling of z"])
    tokenizer, later = learner(store, "toy/tokenizer", before), rows(store, train=["y"], test=["z"])
    spellings = {bytes.fromhex(record_id(text)) for text in ("z", "other spelling of z")}
    alike = lambda snapshots, records: {*records, *(spellings if spellings & records else ())}  # noqa: E731
    assert leaks(store, [later], tokenizer) == {}
    assert leaks(store, [later], tokenizer, alike=[alike]) == {tokenizer.id: 1}


def test_an_unnamed_learner_below_another_input_is_found_too(store):
    """The graph is an input; the tokenizer that leaks is only one of its ancestors."""
    before = rows(store, train=["a"])
    tokenizer = learner(store, "toy/tokenizer", before)
    graph = learner(store, "toy/tokenizer", rows(store, train=["x"]), tokenizer)
    assert leaks(store, [rows(store, train=["y"], test=["a"])], graph) == {tokenizer.id: 1}
