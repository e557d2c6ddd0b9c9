"""Record columns: one per row, or several where a row comes from several records; hex or bytes, all of them read."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets_data.lineage import DataError, IntegrityError, merkle_root
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.identity.record_ids import (
    among,
    decode_records,
    iter_records,
    record_columns,
    table_records,
)
from assets_data.lineage.storage.record_rows import holds_any
from assets_data.lineage.storage.records import all_records, parse_record, record_tables
from tests.assets_data.lineage.named_records import column, make_rows, pairs, record


def array(*names):
    return sorted_records([record(name) for name in names])


def as_bytes(records):
    return [row.tobytes() for row in records]


def test_columns_that_name_records_are_the_one_and_those_with_a_word_behind_it():
    names = ["record_id_window", "my_record_id", "record_id", "record_ids", "record", "record_id_variant", "text_id"]
    assert record_columns(names) == ["record_id_window", "record_id", "record_id_variant"]
    assert record_columns(["value"]) == []


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_every_column_of_a_table_is_read_in_its_order(tmp_path, suffix, binary):
    table, path = pairs(["a", "b", "a"], ["x", "y", "y"], binary=binary), tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path, row_group_size=2)
    else:
        with pa.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table, max_chunksize=2)
    assert as_bytes(table_records(path)) == [record(name) for name in "abaxyy"]
    assert [len(batch) for batch in iter_records(path)] == [2, 1, 2, 1]


def test_a_table_without_such_a_column_names_none(tmp_path):
    pq.write_table(pa.table({"value": [1]}), tmp_path / "rows.parquet")
    assert table_records(tmp_path / "rows.parquet").shape == (0, 32)


@pytest.mark.parametrize("value", ["0" * 63, "0" * 65, "", "g" * 64, "é" * 32])
def test_what_is_no_record_id_is_refused_in_text(value):
    with pytest.raises(IntegrityError, match="RECORDS_MALFORMED"):
        decode_records(pa.array(["0" * 64, value]), "here")


@pytest.mark.parametrize("value", [b"0" * 31, b"0" * 33, b"0" * 64, b""])
def test_what_is_no_record_id_is_refused_in_bytes(value):
    with pytest.raises(IntegrityError, match="RECORDS_MALFORMED"):
        decode_records(pa.array([b"0" * 32, value]), "here")


def test_a_slice_of_a_column_is_read_from_where_it_begins():
    ids = column(list("abcd"))
    assert as_bytes(decode_records(ids.slice(1, 2), "here")) == [record("b"), record("c")]
    assert decode_records(ids.slice(4), "here").shape == (0, 32)


def test_among_tells_each_record_of_a_list():
    wanted = array("a", "c")
    assert among(np.stack([np.frombuffer(record(n), np.uint8) for n in "abcab"]), wanted).tolist() == [1, 0, 1, 1, 0]


@pytest.mark.parametrize("column_name", ["record_id_window", "record_id_variant"])
def test_a_snapshot_holds_a_record_that_any_of_its_columns_names(store, column_name):
    made = make_rows(store, "test/rows", {"rows.arrow": pairs(["a", "b"], ["x", "y"])})
    name = {"record_id_window": "b", "record_id_variant": "y"}[column_name]
    assert holds_any(made, array(name)) and holds_any(made, array("nobody", name))
    assert not holds_any(made, array("nobody")) and not holds_any(made, array())
    assert record_tables(made) == ["rows.arrow"]
    assert sorted(as_bytes(all_records(made))) == sorted(map(record, "abxy"))
    assert made.content["records"] == {"count": 4, "root": merkle_root([record(name) for name in "abxy"])}


def test_a_records_table_is_enough_where_there_is_one_and_a_snapshot_without_any_is_refused(store):
    rows, listed = pa.table({"record_id": column(list("aab"))}), pa.table({"record_id": column(list("ab"))})
    made = make_rows(store, "test/rows", {"rows.arrow": rows, "records.parquet": listed})
    assert record_tables(made) == ["records.parquet", "rows.arrow"]
    assert as_bytes(all_records(made)) == [record("a"), record("b")]
    bare = make_rows(store, "test/bare", {"rows.arrow": pa.table({"value": [1]})})
    assert record_tables(bare) == [] and not holds_any(bare, array("a"))
    with pytest.raises(DataError) as error:
        all_records(bare)
    assert error.value.code == "RECORDS_NONE"


def test_a_record_id_as_people_write_it():
    assert parse_record(record("a").hex()) == parse_record(f"sha256:{record('a').hex()}") == record("a")
    for text in ("", "a", record("a").hex()[:-2], record("a").hex() + "00", "z" * 64):
        with pytest.raises(DataError) as error:
            parse_record(text)
        assert error.value.code == "RECORD_ID" and error.value.found == text
