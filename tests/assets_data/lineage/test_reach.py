"""Reach: who holds a record, who learned from it, who descends from those, and who has nothing to do with it."""

import pyarrow as pa
import pytest

from assets_data.lineage.queries.reach import (
    DESCENDS,
    EVERYTHING,
    HOLDS,
    LEARNED,
    NOTHING,
    ROWS,
    SPLIT,
    Rules,
    all_nodes,
    find_reach,
)
from assets_data.lineage.queries.tree import load_tree
from tests.assets_data.lineage.mini_chain import MiniConfig, json_stage
from tests.assets_data.lineage.named_records import column, make_rows, pairs, record

LEARNS = {
    "d/source": ROWS,
    "d/documents": ROWS,
    "d/graph": f"{SPLIT}train",
    "d/tokenizer": f"{SPLIT}train",
    "d/model": EVERYTHING,
    "d/report": NOTHING,
    "d/manifest": NOTHING,
    "d/rows": ROWS,
}


def rules(parts=None):
    return Rules(learns=LEARNS.get, part=lambda kind, name: (parts or {}).get((kind, name)))


def plain(store, kind, salt=0, **parents):
    """A stage that names no record."""
    return json_stage(
        store, kind, parents, MiniConfig(salt=salt), "made.json", [kind, sorted(p.id for p in parents.values())]
    )


def make_world(store):
    """Two sources; documents in splits; what learned from all or some of them; what descends from that."""
    nodes = {}
    for name, held in (("one", "ab"), ("two", "cd")):
        tables = {"records.parquet": pa.table({"record_id": column(list(held))})}
        nodes[f"source {name}"] = source = make_rows(store, "d/source", tables, slice=name)
        split = pa.array(["train", "validation"])
        documents = {"documents.parquet": pa.table({"record_id": column(list(held)), "split": split})}
        nodes[f"documents {name}"] = make_rows(store, "d/documents", documents, {"source": source}, slice=name)
    one, two = nodes["documents one"], nodes["documents two"]
    nodes["tokenizer"] = plain(store, "d/tokenizer", one=one, two=two)
    rows = {"train.arrow": pa.table({"record_id": column(["a", "a"])})}
    nodes["rows"] = make_rows(store, "d/rows", rows, {"documents": one, "tokenizer": nodes["tokenizer"]})
    nodes["graph"] = plain(store, "d/graph", rows=nodes["rows"])
    nodes["manifest"] = plain(store, "d/manifest", one=one, two=two)
    nodes["model"] = plain(store, "d/model", documents=one)
    nodes["report"] = plain(store, "d/report", model=nodes["model"])
    nodes["apart"] = plain(store, "d/model", documents=two, salt=1)
    return nodes


def reached(store, nodes, names, given=None):
    """``{node: how}`` for those that are reached, and the reach itself."""
    reach = find_reach(all_nodes(store), [record(name) for name in names], given or rules())
    return {name: reach.effects[s.id].how for name, s in nodes.items() if s.id in reach.effects}, reach


def test_a_training_record_reaches_all_that_was_made_from_it(store):
    nodes = make_world(store)
    how, reach = reached(store, nodes, "a")
    assert how == {
        "source one": HOLDS,
        "documents one": HOLDS,
        "tokenizer": LEARNED,
        "rows": HOLDS,
        "graph": LEARNED,
        "manifest": DESCENDS,
        "model": LEARNED,
        "report": DESCENDS,
    }
    assert reach.splits == {"train"} and reach.unread == {}
    effects = {name: reach.effects[nodes[name].id] for name in how}
    assert effects["rows"].rows == {"train.arrow": 2} and effects["source one"].rows == {"records.parquet": 1}
    assert effects["model"].through == [nodes["documents one"].id] and effects["source one"].through == []
    assert effects["report"].through == [nodes["model"].id] and effects["model"].rows == {}
    learners = {name for name, effect in effects.items() if effect.learned}
    assert learners == {"tokenizer", "rows", "graph", "model", "report"}  # the tokenizer is an ancestor of the rows
    assert list(reach.effects) == [key for key in all_nodes(store) if key in reach.effects]


def test_a_held_out_record_teaches_only_what_learns_from_everything(store):
    nodes = make_world(store)
    how, reach = reached(store, nodes, "b")
    assert how == {
        "source one": HOLDS,
        "documents one": HOLDS,
        "rows": DESCENDS,  # made from documents that lose it
        "manifest": DESCENDS,
        "model": LEARNED,
        "report": DESCENDS,
    }
    assert reach.splits == {"validation"} and {n for n in how if reach.effects[nodes[n].id].learned} == {
        "model",
        "report",
    }


def test_records_in_both_splits_reach_what_either_reaches(store):
    nodes = make_world(store)
    how, reach = reached(store, nodes, "bc")
    assert reach.splits == {"train", "validation"}
    assert how["tokenizer"] == LEARNED and how["apart"] == LEARNED and how["source two"] == how["source one"] == HOLDS


def test_a_learner_that_reads_only_what_learned_stands_on_it(store):
    nodes = make_world(store)
    nodes["distant"] = plain(store, "d/graph", report=nodes["report"])
    nodes["further"] = plain(store, "d/graph", manifest=nodes["manifest"], salt=1)
    how, reach = reached(store, nodes, "a")
    assert how["distant"] == DESCENDS and reach.effects[nodes["distant"].id].learned
    assert "further" not in how and how["manifest"] == DESCENDS  # a manifest teaches nothing


def test_a_record_that_nobody_holds_reaches_nothing(store):
    nodes = make_world(store)
    how, reach = reached(store, nodes, ["nobody"])
    assert how == {} and not reach.effects and reach.splits == frozenset()


def test_a_record_in_the_second_column_of_a_table_is_held(store):
    source = make_rows(store, "d/source", {"pairs.parquet": pairs(["a", "a"], ["x", "x"])})
    model = plain(store, "d/model", source=source)
    how, reach = reached(store, {"source": source, "model": model}, "x")
    assert how == {"source": HOLDS, "model": LEARNED} and reach.effects[source.id].rows == {"pairs.parquet": 2}


def test_splits_of_every_record_column_count(store):
    source = make_rows(store, "d/source", {"pairs.parquet": pairs(["a", "b"], ["x", "y"])})
    table = pairs(["a", "b"], ["x", "y"]).append_column("split", pa.array(["validation", "train"]))
    documents = make_rows(store, "d/documents", {"pairs.parquet": table}, {"source": source})
    graph = plain(store, "d/graph", documents=documents)
    nodes = {"graph": graph}
    assert reached(store, nodes, "y")[0] == {"graph": LEARNED} and reached(store, nodes, "x")[0] == {}
    assert reached(store, nodes, "x")[1].splits == {"validation"}


def test_a_sources_own_word_on_splits_is_not_yet_a_use(store):
    split = pa.array(["train", ""])
    table = pa.table({"record_id": column(["a", "b"]), "split": split})
    source = make_rows(store, "d/source", {"records.parquet": table})
    how, reach = reached(store, {"source": source}, "a")
    assert how == {"source": HOLDS} and reach.splits == frozenset()
    make_rows(store, "d/rows", {"rows.parquet": table}, {"source": source})
    assert reached(store, {}, "ab")[1].splits == {"train"}  # and no split is no split


@pytest.mark.parametrize(("names", "how"), [(None, LEARNED), ("b", DESCENDS), ("a", HOLDS)])
def test_a_kind_that_nobody_declared_has_learned_unless_its_tables_name_records(store, names, how):
    nodes = make_world(store)
    parents = {"documents": nodes["documents one"]}
    if names is None:
        unknown = plain(store, "x/unknown", **parents)
    else:
        unknown = make_rows(store, "x/unknown", {"rows.arrow": pa.table({"record_id": column(list(names))})}, parents)
    found, reach = reached(store, {"unknown": unknown}, "a")
    assert found == {"unknown": how} and reach.effects[unknown.id].learned is (how == LEARNED)


@pytest.mark.parametrize("changes", [True, False])
def test_an_input_of_which_only_a_part_counts_is_asked_whether_that_part_changes(store, changes):
    nodes = make_world(store)
    asked = []

    def part(read, own, records):
        asked.append((read.id, own.id, sorted(records)))
        return changes

    how, _reach = reached(store, nodes, "a", rules({("d/model", "documents"): part}))
    assert ("model" in how, "report" in how) == (changes, changes)
    assert asked == [(nodes["documents one"].id, nodes["model"].id, [record("a")])]
    assert how["tokenizer"] == LEARNED  # the other inputs are as they were


def test_what_was_redacted_from_a_holder_does_not_hold(store):
    source = make_rows(store, "d/source", {"records.parquet": pa.table({"record_id": column(["a", "b"])})})
    left = make_rows(
        store, "d/source", {"records.parquet": pa.table({"record_id": column(["b"])})}, {"withdrawn_from": source}
    )
    assert reached(store, {"source": source, "left": left}, "a")[0] == {"source": HOLDS}
    assert reached(store, {"source": source, "left": left}, "b")[0] == {"source": HOLDS, "left": HOLDS}


def test_a_node_that_cannot_be_read_is_named_as_not_known_and_taken_to_be_reached(store):
    nodes = make_world(store)
    (nodes["model"].path / "snapshot.json").write_bytes(b"")
    same = rules({("d/model", "documents"): lambda *_: False})
    below = load_tree(store, [nodes["report"].id])  # in which its kind is known, from the report's receipt
    assert find_reach(below, [record("a")], same).effects[nodes["model"].id].how == LEARNED
    for given in (rules(), same):  # whether its part is the same cannot be asked of it
        how, reach = reached(store, nodes, "a", given)
        assert set(reach.unread) == {nodes["model"].id} and how["model"] == LEARNED and how["report"] == DESCENDS
