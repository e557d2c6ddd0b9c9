"""Tombstones: what was withdrawn stays withdrawn, for whatever is made, reused or named later."""

import json

import pyarrow as pa
import pytest

from assets_data.lineage import DataError, IntegrityError, Store
from assets_data.lineage.storage.tombstones import (
    FOLDER,
    read_tombstones,
    withdrawn_records,
    write_tombstone,
)
from tests.assets_data.lineage.named_records import column, make_rows, pairs, record


def withdraw(store, *names, learners="keep", **further):
    records = sorted(record(name).hex() for name in names)
    return write_tombstone(store.root, {"records": records, "learners": learners, **further})


def withdrawn(store):
    return [row.tobytes() for row in store.withdrawn]


def test_a_store_without_a_withdrawal_withdrew_nothing(store):
    assert withdrawn(store) == [] and read_tombstones(store.root) == []
    assert store.withdrawn.shape == (0, 32)


def test_withdrawals_add_up_and_each_record_is_there_once_in_order(store):
    withdraw(store, "a", "b")
    withdraw(store, "b", "c")
    assert withdrawn(store) == sorted(map(record, "abc"))
    further = [row.tobytes() for row in withdrawn_records(store.root, [record("d"), record("a")])]
    assert further == sorted(map(record, "abcd")) and len(read_tombstones(store.root)) == 2


def test_the_same_records_and_choice_replace_their_own_document_and_another_choice_does_not(store):
    first, again = withdraw(store, "a", moved={}), withdraw(store, "a", moved={"x": 1})
    assert first == again and [one["moved"] for one in read_tombstones(store.root)] == [{"x": 1}]
    assert withdraw(store, "a", learners="rebuild") != first and len(read_tombstones(store.root)) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"not json"])
def test_a_withdrawal_that_cannot_be_read_stops_the_work(store, content):
    rows = {"rows.arrow": pa.table({"record_id": column(["b"])})}
    made = make_rows(store, "test/rows", rows)
    path = withdraw(store, "a")
    path.write_bytes(content)
    for ask in (
        lambda: store.withdrawn,
        lambda: make_rows(store, "test/rows", rows),
        lambda: make_rows(store, "test/others", rows),
        lambda: store.point("test/rows", made),
    ):
        with pytest.raises(IntegrityError):
            ask()
    assert not (store.root / "quarantine").exists()  # what was published is sound
    path.write_text(json.dumps({"records": [record("a").hex()], "learners": "keep"}))
    store.point("test/rows", made)


@pytest.mark.parametrize("stands", ["a file", "a link to itself", "a document that is a folder"])
def test_withdrawals_that_cannot_be_read_are_not_none(store, stands):
    path = withdraw(store, "a")
    path.unlink()
    if stands == "a document that is a folder":
        path.mkdir()
    else:
        path.parent.rmdir()
        path.parent.write_text("") if stands == "a file" else path.parent.symlink_to(path.parent)
    with pytest.raises(IntegrityError, match="WITHDRAWAL_UNREADABLE"):
        withdrawn(store)


@pytest.mark.parametrize("gone", ["a", "x"])
def test_a_snapshot_that_names_one_in_any_column_is_made_again_and_no_name_is_moved_to_it(store, gone):
    tables = {"pairs.parquet": pairs(["a", "b"], ["x", "y"])}
    made = make_rows(store, "test/pairs", tables)
    assert make_rows(store, "test/pairs", tables).reused
    store.point("test/pairs/0", made)
    withdraw(store, "never held")
    assert make_rows(store, "test/pairs", tables).reused
    withdraw(store, gone)
    assert not make_rows(store, "test/pairs", tables).reused  # this stage does not leave it out: made again as it was
    for name in ("test/pairs/0", "test/pairs/1"):
        with pytest.raises(DataError) as error:
            store.point(name, made)
        assert error.value.code == "RECORD_WITHDRAWN" and error.value.where == name and error.value.action
    assert store.names("test/pairs") == ["0"]


def test_a_snapshot_that_names_none_of_them_is_reused_and_named_as_ever(store):
    withdraw(store, "a")
    withdraw(store, "c")
    for kind, tables in (
        ("test/rows", {"rows.arrow": pa.table({"record_id": column(["b", "d"])})}),
        ("test/bare", {"rows.arrow": pa.table({"value": [1]})}),
    ):
        made = make_rows(store, kind, tables)
        assert make_rows(store, kind, tables).reused
        store.point(kind, made)


def test_records_being_withdrawn_hold_for_one_store_object_only(store):
    tables = {"rows.arrow": pa.table({"record_id": column(["a"])})}
    made = make_rows(store, "test/rows", tables)
    withdrawing = Store(store.root, withdrawing=frozenset([record("a")]))
    assert withdrawn(withdrawing) == [record("a")] and withdrawn(store) == []
    with pytest.raises(DataError, match="RECORD_WITHDRAWN"):
        withdrawing.point("test/rows", made)
    store.point("test/rows", made)
    assert not (store.root / FOLDER).exists()
