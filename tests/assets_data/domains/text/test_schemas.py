"""The schemas: silent on what the stages publish, one named failure for each way a table can be wrong."""

import pyarrow as pa
import pytest

from assets_data.columns import SHOWN, surely_holds
from assets_data.domains.text.drops import DROPS_SCHEMA
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.schemas import _TABLES, schema_failures
from assets_data.lineage import Store
from tests.assets_data.domains.text.corpora import (
    documents,
    raw_of,
    source_of,
    trained,
    triples_of,
    write_rows,
)
from tests.assets_data.domains.text.tampered import changed, found, publish, rewritten, with_column


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    root = tmp_path_factory.mktemp("schemas")
    store = Store(root / "store")
    raw = raw_of(store, root / "in", documents(40))
    return raw, triples_of(store, raw, trained(store, raw))


def change_tokens(rows, index, token):
    tokens = rows["tokens"].to_pylist()
    return with_column(rows, "tokens", changed(tokens, 3, changed(tokens[3], index, token)))


def test_what_the_stages_publish_has_no_failures(chain, store, tmp_path):
    raw, triples = chain
    assert schema_failures(raw) == schema_failures(triples) == []
    write_rows(tmp_path / "in" / "tiny.jsonl", [documents(1)[0]])  # most of its splits are empty
    tiny = make_raw_slice(store, "files-0", source_of(tmp_path / "in"))
    assert schema_failures(triples_of(store, tiny, trained(store, tiny))) == []


def test_what_the_stages_publish_holds_at_the_first_question(chain):
    for snapshot in chain:
        for file, frame, schema in _TABLES[snapshot.kind](snapshot):
            assert surely_holds(frame, schema), file


@pytest.mark.parametrize(
    ("column", "index", "value", "check"),
    [
        ("text", 2, "another text", "the record id is the digest of prompt and text"),
        ("record_id", 2, "A" * 64, "str_matches('^[0-9a-f]{64}$')"),
        ("origin", 2, "elsewhere.jsonl#row:3", "the origin lies in the part"),
        ("part", 2, "", "str_length(1, None)"),
        ("prompt", 2, "a prompt", "the record id is the digest of prompt and text"),
        ("split", 2, "dev", "isin(('', 'train', 'validation', 'test'))"),
    ],
)
def test_a_wrong_raw_record_is_named_by_row(chain, store, column, index, value, check):
    raw, _ = chain
    table = raw.table("records.parquet")
    table = with_column(table, column, changed(table[column].to_pylist(), index, value))
    broken = publish(
        store, "text/raw_slice", {"records.parquet": table}, {"parts.json": raw.read_json("parts.json")}, "x"
    )
    failures = schema_failures(broken)
    assert {f["row"] for f in failures} == {index} and check in {f["check"] for f in failures}
    assert all(f["file"] == "records.parquet" and len(f["case"]) <= 200 for f in failures)


def test_a_wrong_part_is_named(chain, store):
    raw, _ = chain
    parts = raw.read_json("parts.json")
    parts["parts"] = [{**parts["parts"][0], "sha256": "md5:0", "records": -1}] * 2
    broken = publish(
        store, "text/raw_slice", {"records.parquet": raw.table("records.parquet")}, {"parts.json": parts}, "x"
    )
    assert {(f["column"], f["file"]) for f in schema_failures(broken)} == {
        (column, "parts.json") for column in ("sha256", "records", "origin")
    }


ROW_FAULTS = {
    "the spans cover the row": lambda rows: with_column(
        rows, "encoder_begin", changed(rows["encoder_begin"].to_pylist(), 3, 1)
    ),
    "the decoder begins where the encoder ends": lambda rows: with_column(
        rows, "encoder_end", changed(rows["encoder_end"].to_pylist(), 3, rows["encoder_end"][3].as_py() - 1)
    ),
    "bos, bos and eos are in their places": lambda rows: change_tokens(rows, 0, 5),
    "ids are below the vocabulary size": lambda rows: change_tokens(rows, 1, 320),
    "no padding is stored": lambda rows: change_tokens(rows, 1, 0),
    "field_uniqueness": lambda rows: with_column(
        rows, "row_key", changed(rows["row_key"].to_pylist(), 3, rows["row_key"][4])
    ),
}


@pytest.mark.parametrize("check", ROW_FAULTS)
def test_a_wrong_row_is_named_by_file_and_check(chain, store, check):
    _, triples = chain
    broken = rewritten(store, triples, check, train=ROW_FAULTS[check](triples.table("train.arrow")))
    assert ("train.arrow", check) in {(file, name) for file, _, name in found(broken)}
    assert {file for file, _, _ in found(broken)} == {"train.arrow"}


def test_a_row_longer_than_its_window_or_with_an_empty_side_is_named(chain, store):
    _, triples = chain
    rows = triples.table("train.arrow").slice(0, 1)
    for tokens, pivot, check in (
        ([1, *[9] * 20, 1, *[9] * 20, 2], 21, "the row holds at most one window"),
        ([1, 1, 9, 2], 1, "the prefix holds a token"),
        ([1, 9, 1, 2], 2, "the suffix holds a token"),
    ):
        spans = {"tokens": tokens, "encoder_end": pivot, "decoder_begin": pivot, "decoder_end": len(tokens)}
        broken = rows
        for name, value in spans.items():
            broken = with_column(broken, name, [value])
        assert {c for _, _, c in found(rewritten(store, triples, check, train=broken))} == {check}


def test_another_token_type_is_named(chain, store):
    _, triples = chain
    rows = triples.table("test.arrow")
    index = rows.schema.get_field_index("tokens")
    wide = rows.set_column(index, "tokens", rows["tokens"].cast(pa.large_list(pa.uint32())))
    assert {column for _, column, _ in found(rewritten(store, triples, "wide", test=wide))} == {"tokens"}


def test_wrong_documents_and_drop_counts_are_named(chain, store):
    _, triples = chain
    records = triples.table("records.parquet")
    for column, value in (("split", "dev"), ("text_id", records["text_id"][0].as_py()), ("record_id", "0")):
        table = with_column(records, column, changed(records[column].to_pylist(), 1, value))
        assert {c for _, c, _ in found(rewritten(store, triples, column, records=table))} == {column}
    documents = {"layout.json": triples.read_json("layout.json"), "dropped.json": {"too_short": -1, "boring": 1}}
    tables = {
        name: triples.table(name) for name in ("train.arrow", "validation.arrow", "test.arrow", "records.parquet")
    }
    broken = found(publish(store, "text/triples", tables, documents, "dropped"))
    assert {file for file, _, _ in broken} == {"dropped.json"} and {c for _, c, _ in broken} == {
        "count",
        "reason",
        None,
    }


def test_a_manifest_with_a_failed_check_or_a_missing_member_is_named(store):
    check = {"slice": "*", "check": "label_leaks", "rows": 10, "count": 1, "passed": False}
    members = {"tokenizer": "latest", "triples": {}}
    broken = publish(
        store, "text/dataset_manifest", {}, {"manifest.json": {"members": members, "checks": [check]}}, "x"
    )
    assert {(c, k) for _, c, k in found(broken)} == {
        ("count", "equal_to(0)"),
        ("passed", "equal_to(True)"),
        ("id", "str_matches('^sha256:[0-9a-f]{64}$')"),
        (None, "every role has a member"),
    }


def test_failures_are_shown_up_to_a_limit(chain, store):
    _, triples = chain
    rows = triples.table("train.arrow")
    broken = rewritten(store, triples, "many", train=with_column(rows, "record_id", ["?"] * len(rows)))
    assert len(rows) > SHOWN == len(schema_failures(broken))


def drop_lists(rows):
    return pa.Table.from_pylist([dict(zip(DROPS_SCHEMA.names, row, strict=True)) for row in rows], DROPS_SCHEMA)


IDS = [digit * 64 for digit in "0123"]
DROPPED_ONCE = ("files-0", IDS[0], "near_duplicate", "files-1", IDS[1])


@pytest.mark.parametrize(
    ("row", "check"),
    [
        (DROPPED_ONCE, "a record is dropped once"),
        (("files-1", IDS[2], "duplicate_across", *DROPPED_ONCE[:2]), "the kept record is kept"),
        (("files-1", IDS[2], "boring", *DROPPED_ONCE[3:]), "isin(('duplicate_across', 'near_duplicate'))"),
    ],
)
def test_a_wrong_drop_list_is_named(store, row, check):
    sound = publish(store, "text/duplicates", {"drops.parquet": drop_lists([DROPPED_ONCE])}, {}, "sound")
    assert schema_failures(sound) == []
    broken = publish(store, "text/duplicates", {"drops.parquet": drop_lists([DROPPED_ONCE, row])}, {}, "broken")
    assert check in {name for _, _, name in found(broken)}


def test_a_part_that_counts_no_withdrawn_record_at_all_is_named(chain, store):
    raw, _ = chain
    for count, failures in ((2, set()), (0, {("parts.json", "withdrawn", "greater_than_or_equal_to(1)")})):
        parts = raw.read_json("parts.json")
        parts["parts"][0]["withdrawn"] = count
        tables = {"records.parquet": raw.table("records.parquet")}
        assert found(publish(store, "text/raw_slice", tables, {"parts.json": parts}, str(count))) == failures


@pytest.mark.parametrize(
    ("rows", "failures"),
    [((10, 0), set()), ((0, 0), {"a check looked at something"}), ((-1, 5), {"greater_than_or_equal_to(0)"})],
)
def test_a_check_that_looked_at_nothing_in_any_slice_is_named(store, rows, failures):
    digests = [f"sha256:{digit * 64}" for digit in "abc"]
    members = {"tokenizer": digests[0], "triples": {"files-0": digests[1], "files-1": digests[2]}}
    passed = {"check": "label_leaks", "count": 0, "passed": True}
    checks = [{"slice": f"files-{i}", "rows": n, **passed} for i, n in enumerate(rows)]
    checks.append({"slice": "*", **passed, "rows": 10, "check": "split_overlaps"})
    document = {"members": members, "checks": checks}
    made = publish(store, "text/dataset_manifest", {}, {"manifest.json": document}, "checks")
    assert {check for _, _, check in found(made)} == failures


def test_a_manifest_with_a_member_of_another_role_is_named(store):
    digests = [f"sha256:{digit * 64}" for digit in "abc"]
    members = {"tokenizer": digests[0], "triples": {"files-0": digests[1]}}
    check = {"slice": "*", "check": "label_leaks", "rows": 10, "count": 0, "passed": True}
    for further, failures in (({}, set()), ({"walk_corpus": digests[2]}, {"role", None})):
        document = {"members": members | further, "checks": [check]}
        made = publish(store, "text/dataset_manifest", {}, {"manifest.json": document}, str(further))
        assert {column for _, column, _ in found(made)} == failures
