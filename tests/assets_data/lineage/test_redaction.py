"""Redaction: a source's snapshot without some records, and nothing else of it changed."""

import pyarrow as pa
import pytest

from assets_data.lineage import DataError, merkle_root
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.storage.redaction import REDACTED_FROM, redact, source_call
from assets_data.lineage.storage.tombstones import WITHDRAWN
from tests.assets_data.lineage.mini_chain import MODULE, make_raw, record_id
from tests.assets_data.lineage.named_records import column, make_rows, pairs, record

CODE = (MODULE,)


def receipt_of(snapshot):
    return read_receipt(snapshot.receipt)


def records(*names):
    return {record(name) for name in names}


@pytest.fixture
def source(store):
    """Rows that come from one record, rows that come from two, and rows that come from none."""
    tables = {
        "windows.arrow": pa.table(
            {"record_id": pa.chunked_array([column(["a", "b"]), column(["c"])]), "value": [0, 1, 2]}
        ),
        "pairs.parquet": pairs(["a", "b", "c"], ["x", "x", "y"]),
        "counts.parquet": pa.table({"value": [7, 8]}),
    }
    return make_rows(store, "test/source", tables)


def values(snapshot, name):
    return snapshot.table(name)["value"].to_pylist()


@pytest.mark.parametrize(
    ("gone", "windows", "paired"),
    [
        ("a", [1, 2], [1, 2]),
        ("x", [0, 1, 2], [2]),
        ("y", [0, 1, 2], [0, 1]),
        ("ay", [1, 2], [1]),
        ("abcxy", [], []),
    ],
)
def test_a_row_goes_that_names_one_in_any_of_its_columns_and_no_other(store, source, gone, windows, paired):
    left = redact(store, source, receipt_of(source), records(*gone), CODE)
    assert values(left, "windows.arrow") == windows and values(left, "pairs.parquet") == paired
    assert values(left, "counts.parquet") == [7, 8]
    assert left.table("windows.arrow").schema == source.table("windows.arrow").schema
    assert left.content["records"]["count"] == 5 - len(gone)
    left.verify(deep=True)


def test_everything_but_tables_of_records_is_as_it_was(store, source):
    left = redact(store, source, receipt_of(source), records("a"), CODE)
    assert {name: entry["part"] for name, entry in left.files.items()} == {
        name: entry["part"] for name, entry in source.files.items()
    }
    for name in ("notes.json", "facts.json"):
        assert left.file(name).read_bytes() == source.file(name).read_bytes()
    same = {name for name, digest in source.content["parts"].items() if left.content["parts"][name] == digest}
    assert same == {"counts", "notes"} and left.kind == source.kind and left.id != source.id
    assert left.content["records"]["root"] == merkle_root([record(name) for name in "bcxy"])


def test_the_receipt_names_those_it_held_and_what_it_was(store, source):
    left = redact(store, source, receipt_of(source), records("a", "y", "never held"), CODE)
    receipt, before = receipt_of(left), receipt_of(source)
    listed = sorted(record(name).hex() for name in "ay")
    assert receipt.arguments == {**before.arguments, REDACTED_FROM: source.id, WITHDRAWN: listed}
    assert left.stats[WITHDRAWN] == 2
    assert (receipt.parents, receipt.config, receipt.seeds) == ((), before.config, before.seeds)
    again = redact(store, left, receipt, records("b"), CODE)
    assert receipt_of(again).arguments[WITHDRAWN] == sorted([*listed, record("b").hex()])
    assert receipt_of(again).arguments[REDACTED_FROM] == left.id


def test_outside_files_stay_named_in_the_receipt(store):
    raw = make_raw(store, "a", ["one", "two"])
    left = redact(store, raw, receipt_of(raw), {bytes.fromhex(record_id("one"))}, CODE)
    assert left.table("records.parquet")["text"].to_pylist() == ["two"]
    assert receipt_of(left).sources == receipt_of(raw).sources and len(receipt_of(raw).sources) == 1


def test_an_equal_redaction_is_found_and_another_is_another(store, source):
    left = redact(store, source, receipt_of(source), records("a"), CODE)
    assert redact(store, source, receipt_of(source), records("a"), CODE).reused
    assert redact(store, source, receipt_of(source), records("b"), CODE).id != left.id
    assert redact(store, source, receipt_of(source), records("never held"), CODE).id == source.id


def test_what_was_made_from_other_snapshots_is_refused(store, source):
    tables = {"rows.arrow": pa.table({"record_id": column(["a"])})}
    derived = make_rows(store, "test/derived", tables, {"source": source})
    before = len(list((store.root / "snapshots").iterdir()))
    with pytest.raises(DataError) as error:
        redact(store, derived, receipt_of(derived), records("a"), CODE)
    assert error.value.code == "REDACTION_DERIVED" and error.value.found == "test/derived" and error.value.action
    assert len(list((store.root / "snapshots").iterdir())) == before


def test_a_stage_may_write_it_in_its_own_way(store, source):
    given = []

    def own(writer, snapshot, gone):
        given.append((snapshot.id, [row.tobytes() for row in gone]))
        writer.write_json("notes.json", {"made": "its own way"})

    left = redact(store, source, receipt_of(source), records("b", "a"), CODE, own)
    assert given == [(source.id, sorted(records("a", "b")))]  # ascending, as the records are asked for
    assert left.read_json("notes.json") == {"made": "its own way"} and set(left.files) == {"notes.json"}


def test_the_call_a_source_is_found_by_is_without_what_it_left_out(store, source):
    call = source_call(receipt_of(source), CODE)
    first = redact(store, source, receipt_of(source), records("a"), CODE)
    second = redact(store, first, receipt_of(first), records("b"), CODE)
    for left in (first, second):
        found = source_call(receipt_of(left), CODE)
        assert (found.arguments, found.code_version) == ({"slice": "test-source"}, code_version(*CODE))
        assert (found.stage, found.config, found.seeds) == (call.stage, call.config, call.seeds)
    store.adopt(call, second)
    tables = {name: source.table(name) for name in source.files if not name.endswith(".json")}
    again = make_rows(store, "test/source", tables)
    assert again.reused and again.id == second.id
