"""Logical digests see values and nothing of the container."""

import hashlib
import json
import struct
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import DataError, IntegrityError, array_key64, canonical_json, digest_json
from assets_data.lineage.identity import digests
from assets_data.lineage.identity.digests import load_json, logical_digest, table_digest, tensor_entries

TABLE = pa.table(
    {
        "number": pa.array(range(1000), pa.uint32()),
        "text": [f"row {i} é" * (i % 3) for i in range(1000)],
        "tokens": pa.array([list(range(i % 7)) for i in range(1000)], pa.large_list(pa.uint16())),
        "flag": [i % 2 == 0 for i in range(1000)],
    }
)


def write_arrow(path, table, chunk=None):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return path


def test_the_container_does_not_change_a_table_digest(tmp_path):
    whole = table_digest(write_arrow(tmp_path / "whole.arrow", TABLE))
    chunked = table_digest(write_arrow(tmp_path / "chunked.arrow", TABLE, chunk=7))
    pq.write_table(TABLE, tmp_path / "t.parquet", compression="zstd", row_group_size=13)
    assert whole == chunked == table_digest(tmp_path / "t.parquet")


def test_a_slice_with_an_offset_digests_like_a_fresh_copy(tmp_path):
    part = TABLE.slice(311, 200)
    fresh = pa.Table.from_pylist(part.to_pylist(), schema=part.schema)
    assert table_digest(write_arrow(tmp_path / "a.arrow", part)) == table_digest(
        write_arrow(tmp_path / "b.arrow", fresh)
    )


@pytest.mark.parametrize("column", TABLE.column_names)
def test_every_column_is_covered(tmp_path, column):
    values = TABLE.column(column).to_pylist()
    values[500] = {"number": 7, "text": "x", "tokens": [9], "flag": not values[500]}[column]
    other = TABLE.set_column(
        TABLE.column_names.index(column), TABLE.field(column), pa.array(values, TABLE.field(column).type)
    )
    assert table_digest(write_arrow(tmp_path / "a.arrow", TABLE)) != table_digest(
        write_arrow(tmp_path / "b.arrow", other)
    )


def test_where_one_string_ends_and_the_next_begins_matters(tmp_path):
    one, two = pa.table({"t": ["ab", "c"]}), pa.table({"t": ["a", "bc"]})
    assert table_digest(write_arrow(tmp_path / "a.arrow", one)) != table_digest(write_arrow(tmp_path / "b.arrow", two))


def test_nulls_are_refused(tmp_path):
    path = write_arrow(tmp_path / "n.arrow", pa.table({"t": pa.array([1, None])}))
    with pytest.raises(DataError) as error:
        table_digest(path)
    assert error.value.code == "COLUMN_NULL"


def safetensors_bytes(order, metadata):
    data = {"a": np.arange(6, dtype="<f4"), "b": np.ones((2, 2), dtype="<f4")}
    header, body = {"__metadata__": metadata}, b""
    for name in order:
        raw = data[name].tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(data[name].shape),
            "data_offsets": [len(body), len(body) + len(raw)],
        }
        body += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def test_tensor_identity_ignores_file_order_and_metadata(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(safetensors_bytes("ab", {"k": "1"}))
    (tmp_path / "y.safetensors").write_bytes(safetensors_bytes("ba", {"other": "2"}))
    first = tensor_entries(tmp_path / "x.safetensors")
    assert first == tensor_entries(tmp_path / "y.safetensors")
    assert first[0] == ["a", "F32", [6], hashlib.sha256(np.arange(6, dtype="<f4").tobytes()).hexdigest()]


def test_a_header_that_claims_more_than_the_file_is_refused(tmp_path):
    (tmp_path / "bomb.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    with pytest.raises(IntegrityError) as error:
        tensor_entries(tmp_path / "bomb.safetensors")
    assert error.value.code == "SAFETENSORS_HEADER"


@pytest.mark.parametrize("tensors", [30_000, 600_000])
def test_s03_a_header_is_parsed_under_50_mb_or_refused(tmp_path, tensors):
    entry = b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header = b"{" + b",".join(entry % number for number in range(tensors)) + b"}"
    (tmp_path / "bomb.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    del header
    tracemalloc.start()
    try:
        entries = tensor_entries(tmp_path / "bomb.safetensors")
    except IntegrityError as error:
        entries = error.code
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 << 20
    assert entries == "SAFETENSORS_HEADER" if tensors > 30_000 else len(entries) == tensors


def test_canonical_json_is_rfc_8785():
    assert canonical_json({"b": 1.0, "a": "é\n"}) == '{"a":"é\\n","b":1}'.encode()
    assert digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '{"a":NaN}', '{"a":', "\ufeff{}", "[" * 100_000])
def test_json_that_two_readers_could_read_differently_is_refused(text):
    with pytest.raises(IntegrityError):
        load_json(text.encode(), "here")


def test_row_keys_are_the_start_of_each_rows_sha256():
    rows = np.array([[1, 2], [3, 4]], dtype=np.uint16)
    expected = int.from_bytes(hashlib.sha256(struct.pack("<2H", 3, 4)).digest()[:8], "big")
    assert array_key64(rows)[1] == expected


QUADRATIC = [
    rb"\"" * 20_000,
    b'["' + rb"\"" * 20_000,
    rb"\"" * 20_000 + b"\\",
    b'"' * 30_001,
    b'"a\\\n' * 9_000,
    (b'"' + rb"\n") * 9_000 + b"\\",
]


def tokens():
    from assets_data.lineage.identity import digests
    from tests.assets_data.lineage.test_bundle import load_verifier

    return {"ours": digests._BRACKETS, "the stranger's": load_verifier().TOKEN}


@pytest.mark.parametrize("whose", ["ours", "the stranger's"])
@pytest.mark.parametrize("number", range(len(QUADRATIC)))
def test_no_quote_is_tried_in_vain_so_the_scan_is_linear(whose, number):
    """A quote that begins no match has been followed to the end of the data; counted, not timed."""
    data, at, vain = QUADRATIC[number], 0, 0
    for found in tokens()[whose].finditer(data):
        vain += data.count(b'"', at, found.start())
        at = found.end()
    assert vain + data.count(b'"', at) == 0


def test_both_scans_see_the_same_depth_as_a_parser(tmp_path):
    from tests.assets_data.lineage.test_bundle import load_verifier

    stranger = load_verifier()
    for text, fine in [
        ("[" * 100 + "]" * 100, True),
        ("[" * 101 + "]" * 101, False),
        (json.dumps(["[" * 500, '"' + "{" * 500, "\\" * 9 + '"[']), True),
        ('{"a\\\\":' + "[" * 100 + "]" * 100 + "}", False),
    ]:
        for load, refused in ((lambda data: load_json(data, "x"), IntegrityError), (stranger.load, stranger.Refused)):
            try:
                load(text.encode())
                assert fine
            except refused:
                assert not fine


@given(st.text('"[]{}a'))
def test_both_ways_to_find_brackets_outside_strings_find_the_same(text):
    data = text.encode()
    by_pieces = list(digests._brackets(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "_SPLIT", -1)
        by_matches = [step for step in digests._brackets(data) if step]
    assert by_pieces == by_matches


@pytest.mark.parametrize("beside", ['"[[[["', '"]]]]"', '"\\"[[[["', '"]]]]\\\\"', "1"])
@pytest.mark.parametrize(("levels", "fine"), [(98, True), (99, True), (100, False)])
def test_a_hundred_levels_are_read_and_no_more_whatever_strings_hold(beside, levels, fine):
    data = f'{{"a":[{beside},{beside}],"b":{"[" * levels}{"]" * levels}}}'.encode()
    if fine:
        assert load_json(data, "here").keys() == {"a", "b"}
        return
    with pytest.raises(IntegrityError, match="nested deeper than 100 levels"):
        load_json(data, "here")


def test_a_document_past_the_cap_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(digests, "MAX_JSON", 10)
    assert load_json(b"[1,2,3,45]", "here") == [1, 2, 3, 45]
    with pytest.raises(IntegrityError, match="JSON_MALFORMED"):
        load_json(b"[1,2,3,456]", "here")


@pytest.mark.parametrize("text", ["[9007199254740993]", '["\\ud800"]', "[1e400]"])
def test_a_json_part_without_a_canonical_form_is_refused_by_name(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(IntegrityError) as error:
        logical_digest(path)
    assert error.value.code.startswith("JSON_") and error.value.where == path


def container(header, body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def tensor(begin, end, shape=None, dtype="U8", **more):
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end], **more}


ILL = {
    "a byte behind": ({"a": tensor(0, 4)}, bytes(5)),
    "bytes and no tensor": ({}, bytes(3)),
    "a gap": ({"a": tensor(0, 4), "b": tensor(6, 8)}, bytes(8)),
    "a gap in front": ({"a": tensor(2, 4)}, bytes(4)),
    "an overlap": ({"a": tensor(0, 4), "b": tensor(2, 6)}, bytes(6)),
    "the same bytes twice": ({"a": tensor(0, 4), "b": tensor(0, 4)}, bytes(4)),
    "too short": ({"a": tensor(0, 8)}, bytes(4)),
    "a shape of another size": ({"a": tensor(0, 4, [5])}, bytes(4)),
    "an unknown type": ({"a": tensor(0, 4, dtype="U7")}, bytes(4)),
    "a negative offset": ({"a": {"dtype": "U8", "shape": [1], "data_offsets": [-1, 0]}}, bytes(0)),
    "turned offsets": ({"a": {"dtype": "U8", "shape": [2], "data_offsets": [2, 0]}}, bytes(2)),
    "an offset that is text": ({"a": {"dtype": "U8", "shape": [1], "data_offsets": ["0", "1"]}}, bytes(1)),
    "an offset that is a float": ({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0.0, 1.0]}}, bytes(1)),
    "no offsets": ({"a": {"dtype": "U8", "shape": [1]}}, bytes(1)),
    "a tensor that is a list": ({"a": [1]}, bytes(1)),
    "a header that is a list": ([], b""),
    "metadata that is a number": ({"__metadata__": {"a": 1}}, b""),
}


@pytest.mark.parametrize("case", ILL)
def test_what_safetensors_refuses_is_refused_with_a_code(tmp_path, case):
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = container(*ILL[case])
    with pytest.raises((SafetensorError, ValueError, KeyError, TypeError)):
        load(data)
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(IntegrityError) as error:
        tensor_entries(tmp_path / "x.safetensors")
    assert error.value.code.startswith("SAFETENSORS_")


def test_what_safetensors_writes_is_accepted(tmp_path):
    from safetensors.numpy import save_file

    arrays = {f"{kind}{n}": np.zeros(n, kind) for kind in ("u1", "f2", "f4", "i8", "?") for n in (0, 1, 3)}
    save_file({**arrays, "scalar": np.array(3.0)}, tmp_path / "x.safetensors", {"k": "v"})
    assert len(tensor_entries(tmp_path / "x.safetensors")) == len(arrays) + 1
