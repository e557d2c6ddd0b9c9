"""Files as other programs write them: what they hold is read, or refused with the reason, and never lost in silence."""

import gzip
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from assets_data.lineage import DataError
from tests.assets_data.sources.test_extraction import extracted, refusal

MARK = b"\xef\xbb\xbf"


def lines(*texts):
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


def texts(root, **settings):
    return [record.text for record in extracted(root, **settings)]


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.list_(pa.binary()),
        pa.large_list(pa.large_binary()),
        pa.dictionary(pa.int32(), pa.binary()),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_strings_that_were_written_as_bytes_are_strings(tmp_path, kind, name):
    values = [[b"one", b"two"], [b"three"]] if hasattr(kind, "value_field") else [b"one", b"\xc3\xa9"]
    if pa.types.is_dictionary(kind):
        table = pa.table({"text": pa.array(values, pa.binary()).dictionary_encode()})
    else:
        table = pa.table({"text": pa.array(values, kind)})
    if name.endswith("parquet"):
        pq.write_table(table, tmp_path / name)
    else:
        with pa.OSFile(str(tmp_path / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    assert texts(tmp_path) == (["one\n\ntwo", "three"] if hasattr(kind, "value_field") else ["one", "é"])


def test_bytes_that_are_no_text_are_refused_by_row_or_counted(tmp_path):
    pq.write_table(
        pa.table({"text": pa.array([b"good", b"\x89PNG\xff", b"more"], pa.binary())}), tmp_path / "a.parquet"
    )
    assert refusal(tmp_path) == ("ROW_NOT_UTF8", "a.parquet:2")
    dropped = Counter()
    assert [r.text for r in extracted(tmp_path, dropped, max_malformed=1)] == ["good", "more"]
    assert dropped["malformed"] == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b'{"text": "first", "id": 1, "text": "second"}\n{"text": "fine"}\n'),
        ("a.json", b'[{"text": "first", "text": "second"}, {"text": "fine"}]'),
        ("a.json", b'{"text": "first", "text": "second"}{"text": "fine"}'),
    ],
)
def test_a_field_that_stands_twice_in_a_row_loses_neither_value_in_silence(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    code, where = refusal(tmp_path)
    assert code == "ROW_FIELD_TWICE" and where == f"{name}:1"
    dropped = Counter()
    assert [record.text for record in extracted(tmp_path, dropped, max_malformed=1)] == ["fine"]
    assert dropped["malformed"] == 1


@pytest.mark.parametrize(
    "row", [{"text": 'say "text" twice: "text"'}, {"text": "one", "meta": [{"text": 1}, {"text": 2}]}]
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_name_that_only_occurs_twice_is_no_field_twice(tmp_path, row, name):
    (tmp_path / name).write_text(json.dumps([row, row] if name == "a.json" else row))
    assert texts(tmp_path) == [row["text"]] * (2 if name == "a.json" else 1)


@pytest.mark.parametrize("zeros", [1, 511, 1 << 20])
def test_zeros_that_fill_up_a_gzip_file_are_no_content(tmp_path, zeros):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines("one")) + gzip.compress(lines("two")) + bytes(zeros))
    assert texts(tmp_path) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl.gz", gzip.compress(lines("one")) + bytes(1 << 20) + b"x"),
        ("a.jsonl.gz", gzip.compress(lines("one")) + bytes(700) + gzip.compress(lines("two"))),  # two would be lost
        ("a.jsonl.gz", bytes(700)),
        ("a.jsonl.zst", zstandard.compress(lines("one")) + bytes(700)),
    ],
)
def test_anything_but_zeros_behind_gzip_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert refusal(tmp_path)[0] in ("UNPACK_TRAILING_BYTES", "UNPACK_CORRUPT")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", MARK + lines("one") + MARK + lines("two")),
        ("a.jsonl.gz", gzip.compress(MARK + lines("one")) + gzip.compress(MARK + lines("two"))),
        ("a.json", MARK + lines("one") + MARK + lines("two")),
        ("a.json", MARK + b'{"text": "one"}' + MARK + b'{"text": "two"}'),
        ("a.jsonl", lines("one") + MARK + b"\n" + lines("two")),
    ],
)
def test_joined_files_that_each_begin_with_a_mark_lose_no_row(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    records = extracted(tmp_path)
    assert [record.text for record in records] == ["one", "two"]
    if name == "a.jsonl":
        begins = [int(record.origin.rpartition(":")[2]) for record in records]
        assert [data[begin:].startswith(b'{"text"') for begin in begins] == [True, True]


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_cut_table_is_called_damaged_and_no_setting_is_blamed(tmp_path, cut):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["some text"] * 50}), path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError) as error:
        extracted(tmp_path)
    assert error.value.code == "TABLE_BROKEN" and "fetch or write" in str(error.value.action)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.ndjson"])
@pytest.mark.parametrize("joint", [b"\x1e", b"\n\x1e"])
def test_a_json_text_sequence_is_rows_each_behind_a_separator(tmp_path, name, joint):
    (tmp_path / name).write_bytes(
        b"".join(joint + line for line in lines("one", "two\x1ethree", "four").splitlines(True))
    )
    assert texts(tmp_path) == ["one", "two\x1ethree", "four"]


UNREADABLE = {
    "an integer of 5,000 digits": (b"9" * 5000, "an integer that is too long"),
    "a negative one": (b"-" + b"1" * 6000, "an integer that is too long"),
    "100,000 lists": (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
    "objects in objects": (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "nested too deep"),
}


@pytest.mark.parametrize("what", UNREADABLE)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_json_that_only_python_cannot_read_is_refused_in_words_of_our_own_or_counted(tmp_path, what, name):
    value, says = UNREADABLE[what]
    rows = [b'{"text":"before"}', b'{"text":"bad","n":' + value + b"}", b'{"text":"after"}']
    (tmp_path / name).write_bytes(b"\n".join(rows))
    with pytest.raises(DataError) as error:
        extracted(tmp_path)
    said = str(error.value)
    assert error.value.code == "ROW_NOT_JSON" and says in said and str(error.value.where) == f"{name}:2"
    assert not any(word in said for word in ("sys.", "recursion", "unicode string", "line 1 column"))
    assert texts(tmp_path, max_malformed=1) == ["before", "after"]


@pytest.mark.parametrize("first", [b"9" * 5000, b"[" * 100_000 + b"]" * 100_000])
def test_the_first_row_of_a_json_file_of_lines_may_be_such(tmp_path, first):
    (tmp_path / "a.json").write_bytes(b'{"text":"bad","n":' + first + b"}\n" + lines("one", "two"))
    assert texts(tmp_path, max_malformed=1) == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'[{"text":"a"},{"te', "Unterminated string starting at character"),
        (b"[{'text':'a'}]", "Expecting property name enclosed in double quotes at character 2"),
    ],
)
def test_a_fault_in_a_document_is_told_by_its_character_and_not_by_a_limit(tmp_path, text, says):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(DataError) as error:
        extracted(tmp_path)
    assert says in str(error.value) and "over" not in str(error.value)


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
@pytest.mark.parametrize("how", ["runs", "lists of a dictionary", "a dictionary in a struct"])
def test_strings_that_are_stored_as_runs_or_by_number_are_strings(tmp_path, how, suffix):
    strings = pa.array(["one", "one", "two"])
    coded = strings.dictionary_encode()
    column = {
        "runs": lambda: pa.RunEndEncodedArray.from_arrays([2, 3], ["one", "two"]),
        "lists of a dictionary": lambda: pa.ListArray.from_arrays([0, 1, 2, 3], coded),
        "a dictionary in a struct": lambda: pa.StructArray.from_arrays([coded], ["body"]),
    }[how]()
    table, path = pa.table({"text": column}), tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        if how.startswith("runs"):
            pytest.skip("parquet has no such column")
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    settings = {"fields": ("text.body",)} if "struct" in how else {}
    assert texts(tmp_path, **settings) == ["one", "one", "two"]


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt", "a.jsonl.gz", "a.parquet"])
def test_a_pointer_to_a_large_file_is_not_taken_for_the_file(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(POINTER) if name.endswith("gz") else POINTER)
    with pytest.raises(DataError, match="a Git LFS pointer: fetch the file itself") as error:
        extracted(tmp_path, max_malformed=10)
    assert error.value.code == "FILE_BYTES"


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize("page", [PAGE, PAGE.lower().lstrip(), b"<HTML><head></head></HTML>"])
def test_a_web_page_in_the_place_of_rows_is_called_one(tmp_path, name, page):
    (tmp_path / name).write_bytes(page)
    with pytest.raises(DataError, match="found a web page"):
        extracted(tmp_path, max_malformed=10)


def test_a_page_or_a_text_about_pointers_is_a_text_where_texts_are_asked_for(tmp_path):
    (tmp_path / "a.txt").write_bytes(PAGE)
    (tmp_path / "b.txt").write_bytes(b"version https://git-lfs.github.com/spec/v1 is how a pointer begins")
    assert len(texts(tmp_path)) == 2


@pytest.mark.parametrize("before", [MARK * 2, MARK * 3 + b"\x1e", b"\x1e\x1e"])
def test_marks_before_a_row_are_no_content_however_many(tmp_path, before):
    (tmp_path / "a.jsonl").write_bytes(before + lines("one") + before + lines("two"))
    assert texts(tmp_path) == ["one", "two"]
