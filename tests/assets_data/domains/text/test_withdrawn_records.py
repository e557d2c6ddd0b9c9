"""Withdrawn records and raw slices: left out when a source is read again, counted, named, and nothing else changed."""

import dataclasses

import pytest

from assets_data.domains.text.raw_slice import make_raw_slice, record_id, without_records
from assets_data.domains.text.schemas import schema_failures
from assets_data.lineage import DataError, Store
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.storage.redaction import REDACTED_FROM, redact, source_call
from assets_data.lineage.storage.tombstones import WITHDRAWN, write_tombstone
from tests.assets_data.domains.text.corpora import chain_of, documents, source_of, write_rows

TEXTS = documents(12, seed=21)
GONE = [TEXTS[1], TEXTS[7], TEXTS[8]]
CODE = ("assets_data.domains.text.raw_slice",)


def ids(texts):
    return sorted(record_id(text) for text in texts)


def records(texts):
    return frozenset(bytes.fromhex(record) for record in ids(texts))


@pytest.fixture
def source(tmp_path):
    """Three files; one text of the first is in the last again, and the last loses all it has."""
    write_rows(tmp_path / "in" / "a.jsonl", TEXTS[:5])
    write_rows(tmp_path / "in" / "b.jsonl", TEXTS[5:7])
    write_rows(tmp_path / "in" / "c.jsonl", [*TEXTS[7:9], TEXTS[1]])
    return source_of(tmp_path / "in")


def withdraw(store, texts, **further):
    return write_tombstone(store.root, {"records": ids(texts), "learners": "keep", **further})


def counted(raw):
    return {part["origin"]: (part["records"], part.get(WITHDRAWN)) for part in raw.read_json("parts.json")["parts"]}


def read_texts(raw):
    return raw.table("records.parquet")["text"].to_pylist()


def test_what_is_withdrawn_is_left_out_counted_by_part_and_listed_in_the_receipt(store, source):
    whole = make_raw_slice(store, "files-0", source)
    assert counted(whole) == {"a.jsonl": (5, None), "b.jsonl": (2, None), "c.jsonl": (3, None)}
    assert WITHDRAWN not in read_receipt(whole.receipt).arguments
    withdraw(store, [*GONE, "never held"])
    left = make_raw_slice(store, "files-0", source)
    assert not left.reused and read_texts(left) == [text for text in TEXTS[:7] if text not in GONE]
    assert counted(left) == {"a.jsonl": (4, 1), "b.jsonl": (2, None), "c.jsonl": (0, 3)}
    assert read_receipt(left.receipt).arguments[WITHDRAWN] == ids(GONE)  # those it met, and no other
    assert left.content["records"]["count"] == left.stats["rows"] == 6 and schema_failures(left) == []
    assert sum(entry[0] + (entry[1] or 0) for entry in counted(left).values()) == 10


def test_a_slice_that_holds_one_is_not_reused_and_no_name_is_moved_to_it(store, source):
    whole = make_raw_slice(store, "files-0", source)
    assert make_raw_slice(store, "files-0", source).reused
    store.point("text/raw_slice/files-0", whole)
    withdraw(store, GONE[:1])
    with pytest.raises(DataError) as error:
        store.point("text/raw_slice/files-0", whole)
    assert error.value.code == "RECORD_WITHDRAWN" and error.value.found == whole.id and error.value.action
    left = make_raw_slice(store, "files-0", source)
    assert left.id != whole.id and make_raw_slice(store, "files-0", source).reused
    store.point("text/raw_slice/files-0", left)
    assert store.pointed("text/raw_slice/files-0").id == left.id


def test_nothing_that_is_made_after_it_names_one_and_what_names_none_stays(store, tmp_path):
    slices = {"files-0": TEXTS[:6], "files-1": [*TEXTS[6:], f"{TEXTS[0]}\n"]}

    def made():
        for name, texts in slices.items():
            write_rows(tmp_path / name / "rows.jsonl", texts)
        raw = {name: make_raw_slice(store, "files-0", source_of(tmp_path / name)) for name in slices}
        return chain_of(store, raw)

    before = made()
    withdraw(store, [TEXTS[0]])
    after = made()
    gone = record_id(TEXTS[0])
    for name in slices:
        for snapshot in (after.raw[name], after.documents[name], after.drops[name], after.triples[name]):
            for file in (file for file in snapshot.files if file.endswith(".parquet")):
                assert gone not in snapshot.table(file)["record_id"].to_pylist()
    assert after.raw["files-1"].reused and after.documents["files-1"].reused and after.index["files-1"].reused
    heir = record_id(f"{TEXTS[0]}\n")  # it was left out in favour of what is gone now
    assert heir in before.drops["files-1"].table("drops.parquet")["record_id"].to_pylist()
    assert heir in after.triples["files-1"].table("records.parquet")["record_id"].to_pylist()


def test_records_that_are_being_withdrawn_count_as_withdrawn_already(store, source):
    whole = make_raw_slice(store, "files-0", source)
    withdrawing = Store(store.root, withdrawing=records(GONE))
    left = make_raw_slice(withdrawing, "files-0", source)
    assert not left.reused and not set(GONE) & set(read_texts(left)) and set(GONE) < set(read_texts(whole))
    with pytest.raises(DataError) as error:
        withdrawing.point("text/raw_slice/files-0", whole)
    assert error.value.code == "RECORD_WITHDRAWN"
    store.point("text/raw_slice/files-0", whole)


@pytest.mark.parametrize("gone", [GONE[:1], GONE, TEXTS[:9]], ids=["one", "some", "all"])
def test_a_slice_without_records_is_the_snapshot_that_reading_it_again_would_make(tmp_path, source, gone):
    store = Store(tmp_path / "store")
    whole = make_raw_slice(store, "files-0", source)
    redacted = redact(store, whole, read_receipt(whole.receipt), records(gone), CODE, without_records)
    elsewhere = Store(tmp_path / "elsewhere")
    withdraw(elsewhere, gone)
    again = make_raw_slice(elsewhere, "files-0", source)
    assert redacted.id == again.id != whole.id and counted(redacted) == counted(again)
    assert read_receipt(redacted.receipt).arguments[WITHDRAWN] == ids(gone)
    assert read_receipt(redacted.receipt).arguments[REDACTED_FROM] == whole.id
    assert redacted.stats.items() >= {"rows": again.stats["rows"], WITHDRAWN: 10 - again.stats["rows"]}.items()
    assert schema_failures(redacted) == []


def test_records_taken_out_one_after_the_other_are_all_counted_and_listed(store, tmp_path, source):
    whole = make_raw_slice(store, "files-0", source)
    first = redact(store, whole, read_receipt(whole.receipt), records(GONE[:1]), CODE, without_records)
    second = redact(store, first, read_receipt(first.receipt), records(GONE[1:]), CODE, without_records)
    elsewhere = Store(tmp_path / "elsewhere")
    withdraw(elsewhere, GONE)
    assert second.id == make_raw_slice(elsewhere, "files-0", source).id
    assert read_receipt(second.receipt).arguments[WITHDRAWN] == ids(GONE)


def test_the_stages_later_calls_find_the_redacted_slice_once_it_is_adopted(store, source):
    whole = make_raw_slice(store, "files-0", source)
    redacted = redact(store, whole, read_receipt(whole.receipt), records(GONE), CODE, without_records)
    assert make_raw_slice(store, "files-0", source).id == whole.id
    store.adopt(source_call(read_receipt(redacted.receipt), CODE), redacted)
    found = make_raw_slice(store, "files-0", source)
    assert found.id == redacted.id and found.reused and found.receipt == redacted.receipt


def test_a_shuffled_slice_loses_the_records_and_moves_no_other(store, source):
    shuffled = dataclasses.replace(source, shuffle=True)
    whole = read_texts(make_raw_slice(store, "files-0", shuffled))
    withdraw(store, GONE)
    left = make_raw_slice(store, "files-0", shuffled)
    assert read_texts(left) == [text for text in whole if text not in GONE]
    assert counted(left) == {"a.jsonl": (4, 1), "b.jsonl": (2, None), "c.jsonl": (0, 3)}
