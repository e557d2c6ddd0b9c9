"""Tables: only the named leaf is read, each row is judged by itself, and a file that is something else is named."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import DataError
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.extract_config import ExtractConfig, QaConfig
from assets_data.sources.fields import ABSENT, parse_field, value_at
from assets_data.sources.files import FilesSource
from assets_data.sources.tables import table_rows


def write_file(table, path):
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def write_stream(table, path):
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=7)


WRITERS = {"a.parquet": pq.write_table, "a.arrow": write_file, "a.feather": write_file, "a.arrows": write_stream}
writers = pytest.mark.parametrize("name", WRITERS)


def read(root, **extract):
    files = FilesConfig(root=str(root), patterns=("**/*",))
    source = FilesSource(SourceConfig(source="files", shards=1, files=files, extract=ExtractConfig(**extract)))
    dropped = Counter()
    records = [record for part in source.parts("files-0") for record in source.records(part, dropped)]
    return records, dict(+dropped)


def texts(root, **extract):
    return [record.text for record in read(root, **extract)[0]]


def refusal(root, **extract):
    with pytest.raises(DataError) as error:
        read(root, **extract)
    return error.value


NS = pa.array(np.array([1, 2], "datetime64[ns]"))
TEXT = pa.array(["one", "two"])
UNREAD = {
    "a timestamp in nanoseconds": pa.StructArray.from_arrays([TEXT, NS], names=["text", "at"]),
    "two fields of one name": pa.StructArray.from_arrays([NS, TEXT, NS], names=["x", "text", "x"]),
    "bad UTF-8": pa.StructArray.from_arrays(
        [pa.array([b"\xff", b"x"]).cast(pa.binary()).view(pa.string()), TEXT], names=["raw", "text"]
    ),
    "a list of structs with two fields of one name": pa.StructArray.from_arrays(
        [pa.ListArray.from_arrays([0, 1, 2], pa.StructArray.from_arrays([NS, NS], names=["x", "x"])), TEXT],
        names=["list", "text"],
    ),
}


@writers
@pytest.mark.parametrize("case", UNREAD)
def test_what_lies_beside_the_named_leaf_is_not_read(tmp_path, case, name):
    WRITERS[name](pa.table({"id": NS, "meta": UNREAD[case]}), tmp_path / name)
    assert texts(tmp_path, fields=("meta.text",)) == ["one", "two"]


@writers
def test_columns_of_one_name_are_a_fault_only_of_the_one_that_is_asked_for(tmp_path, name):
    table = pa.Table.from_arrays([NS, TEXT, NS], names=["id", "text", "id"])
    WRITERS[name](table, tmp_path / name)
    assert texts(tmp_path) == ["one", "two"]
    WRITERS[name](pa.Table.from_arrays([TEXT, TEXT], names=["text", "text"]), tmp_path / name)
    assert refusal(tmp_path).code == "TABLE_COLUMN" and "2 columns are named 'text'" in str(refusal(tmp_path))


rows = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(max_size=5),
            "a.b": st.none() | st.text(max_size=3),
            "meta": st.none()
            | st.fixed_dictionaries({"text": st.none() | st.text(max_size=3), "n": st.integers(0, 9)}),
            "list": st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3),
            "items": st.none()
            | st.lists(
                st.none() | st.fixed_dictionaries({"t": st.text(max_size=3), "n": st.integers(0, 9)}), max_size=3
            ),
        }
    ),
    min_size=1,
    max_size=6,
)
SCHEMA = pa.schema(
    {
        "text": pa.string(),
        "a.b": pa.large_string(),
        "meta": pa.struct({"text": pa.string(), "n": pa.int64()}),
        "list": pa.list_(pa.string()),
        "items": pa.list_(pa.struct({"t": pa.string(), "n": pa.int64()})),
    }
)
PATHS = ("text", '["a.b"]', "meta.text", "list", "list[0]", "list[2]", "items[0].t", "items[1].n", "meta.gone", "gone")


@given(values=rows)
@writers
def test_a_leaf_is_the_value_that_its_path_names_in_the_whole_row(tmp_path_factory, values, name):
    path = tmp_path_factory.mktemp("table") / name
    WRITERS[name](pa.Table.from_pylist(values, SCHEMA), path)
    fields = {text: parse_field(text) for text in PATHS}
    kind = "parquet" if name.endswith("parquet") else "arrow"
    found = [row for row, _ in table_rows(path, kind, fields, lambda _: True)]
    nothing = (None, ABSENT)
    for row, value in zip(found, values, strict=True):
        for text, steps in fields.items():
            expected = value_at(value, steps)
            assert row[text] == expected or (row[text] in nothing and expected in nothing)


def broken(values):
    return pa.array([None if value is None else value for value in values], pa.binary()).view(pa.string())


@writers
def test_f11_a_bad_string_is_one_malformed_row_and_the_ceiling_holds_for_tables(tmp_path, name):
    column = broken([b"a", b"\xff", b"c", None, b"\xc3"] + [b"x"] * 2000)
    WRITERS[name](pa.table({"text": column}), tmp_path / name)
    error = refusal(tmp_path, skip_missing=True)
    assert (error.code, error.where) == ("ROW_NOT_UTF8", f"{name}:2")
    assert refusal(tmp_path, skip_missing=True, max_malformed=1).code == "ROWS_MALFORMED"
    records, dropped = read(tmp_path, skip_missing=True, max_malformed=2)
    assert [record.text for record in records] == ["a", "c"] + ["x"] * 2000
    assert dropped == {"malformed": 2, "missing": 1} and records[1].origin == f"{name}#row:3"


@writers
def test_f11_a_bad_string_in_a_list_or_a_dictionary_is_its_own_rows_fault(tmp_path, name):
    words = pa.ListArray.from_arrays([0, 2, 3, 4], broken([b"a", b"b", b"\xff", b"c"]))
    WRITERS[name](pa.table({"text": words}), tmp_path / name)
    assert texts(tmp_path, max_malformed=1) == ["a\n\nb", "c"]
    if "parquet" not in name:  # which would decode the dictionary itself
        coded = pa.DictionaryArray.from_arrays([0, 1, 0], broken([b"a", b"\xff"]))
        WRITERS[name](pa.table({"text": coded}), tmp_path / name)
        assert texts(tmp_path, max_malformed=1) == ["a", "a"]


@writers
@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (NS, "timestamp"),
        (UNREAD["two fields of one name"], "struct"),
        (pa.array([b"a", b"b"], pa.binary(1)), "fixed_size_binary"),
    ],
)
def test_f11_a_leaf_that_is_no_text_is_refused_by_row_and_type(tmp_path, name, column, kind):
    WRITERS[name](pa.table({"text": column}), tmp_path / name)
    error = refusal(tmp_path)
    assert (error.code, error.where) == ("ROW_NO_TEXT", f"{name}:1") and kind in str(error.found)
    assert read(tmp_path, max_malformed=2) == ([], {"malformed": 2})


@writers
@pytest.mark.parametrize(
    "column", [pa.nulls(2), pa.array([None, None], pa.string()), pa.array([float("nan"), float("inf")])], ids=str
)
def test_a_column_of_nothing_is_missing_rows(tmp_path, name, column):
    WRITERS[name](pa.table({"text": column}), tmp_path / name)
    assert read(tmp_path, skip_missing=True) == ([], {"missing": 2})
    assert refusal(tmp_path).where == f"{name}:1"


@writers
def test_files_may_differ_in_all_but_the_named_field(tmp_path, name):
    suffix = name[1:]
    drift = [pa.table({"text": TEXT}), pa.table({"n": NS, "text": TEXT.cast(pa.large_string())})]
    drift += [pa.table({"text": TEXT.dictionary_encode()}), pa.table({"text": pa.array([1, 2])})]
    for number, table in enumerate(drift):
        WRITERS[name](table, tmp_path / f"{number}{suffix}")
    assert texts(tmp_path) == ["one", "two"] * 3 + ["1", "2"]
    WRITERS[name](pa.table({"body": TEXT}), tmp_path / f"9{suffix}")
    error = refusal(tmp_path)
    assert error.code == "TABLE_COLUMN" and "no column 'text' among body" in str(error)
    assert read(tmp_path, skip_missing=True)[1] == {"missing": 2}
    assert refusal(tmp_path, skip_missing=True, split_field="fold").code == "TABLE_COLUMN"  # the texts are there


@writers
def test_a_passage_is_a_column_that_a_file_may_lack(tmp_path, name):
    WRITERS[name](pa.table({"q": TEXT, "a": TEXT}), tmp_path / name)
    records, _ = read(tmp_path, qa=QaConfig(question="q", answer="a", context="c"))
    assert [(record.prompt, record.text) for record in records] == [("one", "one"), ("two", "two")]


@pytest.mark.parametrize("at", [4, 300, -12])
def test_f10_damaged_bytes_of_a_table_are_a_refusal_by_name(tmp_path, at):
    pq.write_table(pa.table({"text": [f"{n} " * 50 for n in range(99)]}), tmp_path / "a.parquet")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[at : at + 8] = b"\xff" * 8
    (tmp_path / "a.parquet").write_bytes(data)
    error = refusal(tmp_path)
    assert error.code in ("TABLE_COLUMN", "TABLE_BROKEN") and "a.parquet" in str(error)


@writers
def test_a_dotted_column_is_a_quoted_step_and_the_refusal_says_so(tmp_path, name):
    WRITERS[name](pa.table({"a.text": TEXT, "a": pa.array([{"x": 1}] * 2)}), tmp_path / name)
    assert texts(tmp_path, fields=('["a.text"]',)) == ["one", "two"]
    (tmp_path / name).unlink()
    WRITERS[name](pa.table({"b.text": TEXT}), tmp_path / name)
    assert """'["b.text"]'""" in str(refusal(tmp_path, fields=("b.text",)))


@writers
def test_a_table_without_rows_has_none(tmp_path, name):
    WRITERS[name](pa.table({"text": TEXT[:0]}), tmp_path / name)
    assert read(tmp_path) == ([], {})


def test_f10_an_arrow_stream_without_its_end_is_refused(tmp_path):
    write_stream(pa.table({"text": [str(n) for n in range(30)]}), tmp_path / "a.arrow")
    assert len(texts(tmp_path)) == 30
    whole = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(whole[:-8])  # between two messages
    assert refusal(tmp_path).code == "TABLE_CUT"
    for cut in (20, 100, len(whole) // 2):
        (tmp_path / "a.arrow").write_bytes(whole[:-cut])
        assert refusal(tmp_path).code in ("TABLE_CUT", "TABLE_COLUMN")


@pytest.mark.parametrize(
    ("name", "data", "looks"),
    [
        ("a.parquet", b'{"text": "x"}\n', "JSON text"),
        ("a.parquet", b"\x1f\x8b\x08\x00rest", "gzip data"),
        ("a.parquet", b"ARROW1\0\0rest", "an arrow file"),
        ("a.arrow", b"PAR1\0\0rest", "a parquet file"),
        ("a.feather", b"FEA1\0\0rest", "a feather file of version 1"),
        ("a.arrow", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab", "a Git LFS pointer"),
    ],
)
def test_a_table_that_is_something_else_is_named(tmp_path, name, data, looks):
    (tmp_path / name).write_bytes(data)
    error = refusal(tmp_path)
    assert error.code == "FILE_BYTES" and looks in str(error.found)
