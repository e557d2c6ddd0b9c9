"""Drops: each slice has its own list, which only changes when a text really comes to it or leaves it."""

import dataclasses
import itertools

import pytest

from assets_data.domains.text.config import DuplicatesConfig
from assets_data.domains.text.document_index import make_document_index
from assets_data.domains.text.drops import LIST_SCHEMA, list_changes, make_drops
from assets_data.domains.text.duplicates import make_duplicates
from assets_data.domains.text.raw_slice import record_id
from assets_data.lineage import Store, merkle_root
from assets_data.lineage.receipts.reader import read_receipt
from tests.assets_data.domains.text.corpora import (
    TEXT,
    chain_of,
    documents,
    documents_of,
    raw_of,
    rows_of,
    triples_of,
)

A, B, C, D, E = documents(5, seed=11)
WORLD = {
    "files-0": [A, B, f"{B}\n", C, E],  # B is there in two spellings
    "files-1": [f"{A}  \n", C, D],  # C is the same record in every slice
    "files-2": [f"{A}\n", f"{B} \n", C, f"{E}\n"],
}
RECORDS = sorted({bytes.fromhex(record_id(text)) for texts in WORLD.values() for text in texts})


def made(root, home=None, gone=frozenset()):
    """Duplicates and drops of the world in a store of its own, read without some records; what holds none of them is
    taken from ``home``."""
    store = Store(root, withdrawing=gone)
    home = home or store
    documents_made, index = {}, {}
    for name, texts in WORLD.items():
        place = store if gone & {bytes.fromhex(record_id(text)) for text in texts} else home
        documents_made[name] = documents_of(place, raw_of(place, root.parent / "in" / name, texts))
        index[name] = make_document_index(place, documents_made[name], TEXT)
    duplicates = make_duplicates(store, documents_made, index, TEXT)
    return duplicates, {name: make_drops(store, name, one, duplicates) for name, one in documents_made.items()}


def listed(drops):
    return drops.table("drops.parquet").to_pylist()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Read-only."""
    return made(tmp_path_factory.mktemp("world") / "whole")


def test_a_list_holds_what_its_own_slice_leaves_out_and_nothing_else(world):
    duplicates, drops = world
    expected = {
        "files-0": [],
        "files-1": [f"{A}  \n", C],
        "files-2": [f"{A}\n", f"{B} \n", C, f"{E}\n"],
    }
    every = duplicates.table("drops.parquet").to_pylist()
    for name, texts in expected.items():
        rows = listed(drops[name])
        assert rows == [{"record_id": record_id(text), "reason": "duplicate_across"} for text in sorted_ids(texts)]
        assert {row["record_id"] for row in rows} == {row["record_id"] for row in every if row["slice"] == name}
        assert drops[name].table("drops.parquet").schema.equals(LIST_SCHEMA) and drops[name].stats["rows"] == len(rows)
        assert drops[name].content["records"] == {
            "count": len(rows),
            "root": merkle_root(row["record_id"] for row in rows),
        }
    assert len({one.read_json("slice.json")["documents"] for one in drops.values()}) == 3


def sorted_ids(texts):
    return sorted(texts, key=record_id)


def test_its_receipt_names_the_documents_and_the_duplicates_it_came_from(world):
    duplicates, drops = world
    receipt = read_receipt(drops["files-1"].receipt)
    documents_id = drops["files-1"].read_json("slice.json")["documents"]
    assert {(p.input, p.id) for p in receipt.parents} == {("documents", documents_id), ("duplicates", duplicates.id)}


def test_what_arrives_later_leaves_lists_and_triples_as_they_are(store, tmp_path):
    texts = {**WORLD, "files-10": [*documents(3, seed=12), A, C, f"{E}\n"], "files-11": ["short"]}
    raw = {name: raw_of(store, tmp_path / name, lines) for name, lines in texts.items()}
    before = chain_of(store, {name: raw[name] for name in WORLD})
    after = chain_of(store, raw, tokenizer=before.tokenizer)
    assert before.duplicates.id != after.duplicates.id
    for name in WORLD:
        assert after.drops[name].id == before.drops[name].id
        assert after.triples[name].id == before.triples[name].id and after.triples[name].reused
    assert sorted(row["record_id"] for row in listed(after.drops["files-10"])) == sorted(
        map(record_id, (A, C, f"{E}\n"))
    )
    assert listed(after.drops["files-11"]) == []


def test_triples_hold_no_record_of_the_list_and_count_each_under_its_reason(store, tmp_path):
    raw = {name: raw_of(store, tmp_path / name, texts) for name, texts in WORLD.items()}
    chain = chain_of(store, raw)
    for name, triples in chain.triples.items():
        out = {row["record_id"] for row in listed(chain.drops[name])}
        every = {row["record_id"] for row in rows_of(chain.documents[name])}
        assert set(triples.table("records.parquet")["record_id"].to_pylist()) == every - out
        alone = triples_of(store, raw[name], chain.tokenizer).read_json("dropped.json")
        assert triples.read_json("dropped.json") == alone | {
            "duplicate_across": len(out),
            "short_window": triples.read_json("dropped.json")["short_window"],
        }
        assert len(every) == triples.stats["documents"] + len(out)


def stays_at_home(gone):
    """Whether one of the records is in a slice that has its text again, in a spelling that is not gone."""
    cleaned = {record_id(text): text.strip() for texts in WORLD.values() for text in texts}
    for texts in WORLD.values():
        ids = {record_id(text) for text in texts}
        left = {cleaned[record] for record in ids - gone}
        if any(cleaned[record] in left for record in ids & gone):
            return True
    return False


def test_list_changes_says_which_lists_differ_without_any_record_or_pair_of_records(world, tmp_path):
    duplicates, drops = world
    for name in WORLD:
        assert not list_changes(duplicates, drops[name], [])
    exact = differing = 0
    home = Store(tmp_path / "home")
    shared = [record for record in RECORDS if record.hex() != record_id(D)]  # what is there once changes no pair
    choices = [*itertools.combinations(RECORDS, 1), *itertools.combinations(shared, 2)]
    for number, gone in enumerate(choices):
        _, without = made(tmp_path / str(number), home, frozenset(gone))
        different = {name for name in WORLD if listed(without[name]) != listed(drops[name])}
        said = {name for name in WORLD if list_changes(duplicates, drops[name], set(gone))}
        assert different <= said, gone
        if not stays_at_home({record.hex() for record in gone}):
            assert said == different, gone
            exact += 1
        differing += len(different)
    assert 20 < exact < len(choices) and differing > 40


def test_where_near_duplicates_go_every_slice_that_was_compared_is_said_to_change(store, tmp_path):
    near = dataclasses.replace(TEXT, duplicates=DuplicatesConfig(near=True, threshold=0.7))
    changed = A.replace("document 11-0", "document 11-9")  # all but the same
    slices = {"files-0": [A, B], "files-1": [changed, f"{B}\n"], "files-2": [C]}
    chain = chain_of(store, {name: raw_of(store, tmp_path / name, texts) for name, texts in slices.items()}, near)
    assert [row["reason"] for row in chain.duplicates.table("drops.parquet").to_pylist()].count("near_duplicate") == 1
    for texts, expected in (([A], set(slices)), ([changed], set(slices)), ([B], {"files-1"}), ([C], set())):
        gone = {bytes.fromhex(record_id(text)) for text in texts}
        said = {name for name, drops in chain.drops.items() if list_changes(chain.duplicates, drops, gone)}
        assert said == expected, texts
