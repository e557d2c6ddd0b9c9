"""Rows: the same values however the bytes are blocked, and a refusal that names the line for anything else."""

import codecs
import functools
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import DataError
from assets_data.sources.json_documents import JsonItems
from assets_data.sources.json_shapes import is_lines
from assets_data.sources.rows import json_lines as lines_of
from assets_data.sources.rows import whole_text

LIMIT = 1 << 20


def refuse(error):
    raise error


json_lines = functools.partial(lines_of, malformed=refuse)

rows = st.lists(
    st.fixed_dictionaries({"text": st.text(max_size=20), "n": st.lists(st.integers(), max_size=3)}), max_size=8
)
widths = st.integers(1, 40)


def blocks(data, width):
    return [data[i : i + width] for i in range(0, len(data), width)]


def refusal(read, data, width=7, limit=LIMIT):
    with pytest.raises(DataError) as error:
        list(read(blocks(data, width), limit, "a.json"))
    return error.value.code, str(error.value.where)


@given(rows, widths)
def test_json_lines_are_the_same_however_the_bytes_are_blocked(values, width):
    data = "\n".join(json.dumps(value, ensure_ascii=False) for value in values).encode()
    found = list(json_lines(blocks(data, width), LIMIT, "a"))
    assert [(line, value) for line, _, value in found] == list(enumerate(values, 1))
    assert all(json.loads(data[byte:].split(b"\n")[0]) == value for _, byte, value in found)


@given(rows, widths, st.sampled_from([None, 1]))
def test_a_json_array_streams_the_same_values_however_the_bytes_are_blocked(values, width, indent):
    data = json.dumps(values, ensure_ascii=False, indent=indent).encode() + b"\n \n"
    assert [value for _, value in JsonItems(blocks(data, width), LIMIT, "a")] == values


@given(widths)
def test_json_elements_are_numbered_by_the_line_they_begin_on(width):
    data = b'\n[\n{"a":\n1}\n,\n\n{"b": "\\n"}, {}\n]'
    assert [line for line, _ in JsonItems(blocks(data, width), LIMIT, "a")] == [3, 7, 7]


@given(rows, widths)
def test_a_mark_at_byte_0_is_no_content_in_any_format_and_offsets_count_it(values, width):
    lines = codecs.BOM_UTF8 + "\n".join(json.dumps(value, ensure_ascii=False) for value in values).encode()
    found = list(json_lines(blocks(lines, width), LIMIT, "a"))
    assert [value for _, _, value in found] == values
    assert all(json.loads(lines[byte:].split(b"\n")[0].decode()) == value for _, byte, value in found)
    array = codecs.BOM_UTF8 + json.dumps(values).encode()
    assert [value for _, value in JsonItems(blocks(array, width), LIMIT, "a")] == values
    text = "".join(value["text"] for value in values)
    assert whole_text(blocks(codecs.BOM_UTF8 + text.encode(), width), LIMIT, "a") == text


@given(rows.filter(bool), widths, st.sampled_from([None, 1]))
def test_documents_one_after_another_are_rows(values, width, indent):
    data = "\n".join(json.dumps(value, indent=indent) for value in values).encode()
    assert [value for _, value in JsonItems(blocks(data, width), LIMIT, "a")] == values


@given(st.lists(st.tuples(st.text(max_size=3), st.integers()), min_size=1, max_size=12), st.booleans())
def test_an_object_of_columns_is_one_row_per_element(values, pandas):
    columns = {"text": [text for text, _ in values], "n": [n for _, n in values]}
    document = {name: {str(i): v for i, v in enumerate(c)} for name, c in columns.items()} if pandas else columns
    found = [row for _, row in JsonItems([json.dumps(document).encode()], LIMIT, "a")]
    assert found == [{"text": text, "n": n} for text, n in values]


def test_columns_of_several_lengths_are_refused_with_the_lengths():
    with pytest.raises(DataError, match=r"'text': 2, 'tags': 1") as error:
        list(JsonItems([b'{"text": ["a", "b"], "tags": ["x"]}'], LIMIT, "a.json"))
    assert (error.value.code, error.value.where) == ("ROW_COLUMNS", "a.json:1")


@pytest.mark.parametrize(
    "row", [{"text": ["a", "b"], "id": 1}, {"text": {"a": 1}}, {"q": {"t": "x"}, "a": {"t": "y"}}, {}]
)
def test_an_object_that_is_not_all_columns_is_one_row(row):
    assert [value for _, value in JsonItems([json.dumps(row).encode()], LIMIT, "a")] == [row]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b'{"a": 1}\n{"a": 2}', True),
        (b'\xef\xbb\xbf\n{"a": 1}\n\n{"a": 2}\n', True),
        (b'{"a": \n{"a": 2}\n', False),
        (b'{"a" 1}\n{"a": 2}\n', True),
        (b'{\n{"a": 2}\n', True),
        (b'{"a": 1}\n', False),
        (b'{\n "a": 1,\n "b": {}\n}', False),
        (b'{"data":\n{"x": 1}\n}', False),
        (b'[{"a": 1},\n{"a": 2}]', False),
        (b"", False),
    ],
)
def test_which_json_files_hold_lines(data, lines):
    for width in (1, 5, 1000):
        found, again = is_lines(blocks(data, width), LIMIT)
        assert found is lines and b"".join(again) == data


def test_f11_an_element_that_is_not_utf8_may_be_left_out_and_takes_no_other_with_it():
    data = b'[{"a": 1},\n{"a": "\xff"},\n{"b": "\xc3"}, {"a": 2}]'
    for width in (1, 7, 1000):
        errors = []
        items = JsonItems(blocks(data, width), LIMIT, "a", errors.append)
        assert [value for _, value in items] == [{"a": 1}, {"a": 2}]
        assert [(error.code, error.where) for error in errors] == [("ROW_NOT_UTF8", "a:2"), ("ROW_NOT_UTF8", "a:3")]


@given(widths, st.integers(0, 3))
def test_a_row_is_too_long_by_its_own_length_and_not_by_how_it_was_blocked(width, over):
    limit = 30
    row = json.dumps("x" * (limit - 2 + over)).encode()
    for read in (functools.partial(lines_of, malformed=refuse), JsonItems):
        data = b"[1,\n" + row + b"]" if read is JsonItems else b"1\n" + row
        try:
            assert len(list(read(blocks(data, width), limit, "a"))) == 2 and not over
        except DataError as error:
            code = "ROW_NOT_JSON" if read is JsonItems else "ROW_TOO_LONG"
            assert over and (error.code, error.where) == (code, "a:2")


def test_one_top_level_value_is_one_row():
    assert list(JsonItems([b' {"text": "x"}\n'], LIMIT, "a")) == [(1, {"text": "x"})]


def test_blank_lines_are_passed_over_and_still_counted():
    assert list(json_lines([b'\n{"a": 1}\n  \n{"a": 2}\n\n'], LIMIT, "a")) == [(2, 1, {"a": 1}), (4, 13, {"a": 2})]


@pytest.mark.parametrize("bad", [b'{"text": "cut', b"{'text': 1}", b"[" * 100_000])
def test_f11_a_malformed_line_is_refused_with_its_number(bad):
    assert refusal(json_lines, b'{"text": "a"}\n{"text": "b"}\n' + bad + b"\n{}") == ("ROW_NOT_JSON", "a.json:3")


def test_f11_bad_utf8_is_refused_with_its_line_in_every_format():
    data = b'[{"text": "a"},\n{"text": "\xc3\xa9"},\n{"text": "\xff"}]\n'
    for width in (1, 7, 1000):
        assert refusal(JsonItems, data, width) == ("ROW_NOT_UTF8", "a.json:3")
        assert refusal(json_lines, data.replace(b"},", b"}").replace(b"[", b""), width) == ("ROW_NOT_UTF8", "a.json:3")
        assert refusal(whole_text, data, width) == ("ROW_NOT_UTF8", "a.json:3")


def test_f11_a_character_cut_by_the_end_of_the_file_is_refused():
    assert refusal(whole_text, b"a\n\xc3") == ("ROW_NOT_UTF8", "a.json:2")


@pytest.mark.parametrize("read", [json_lines, whole_text])
def test_f11_an_endless_line_is_refused_before_it_is_all_read(read):
    endless = itertools.repeat(b"x" * 100)
    with pytest.raises(DataError) as error:
        list(read(endless, 5_000, "a.jsonl"))
    assert error.value.code == "ROW_TOO_LONG" and error.value.where == "a.jsonl:1"


def test_f11_an_endless_json_element_is_refused_before_it_is_all_read():
    with pytest.raises(DataError) as error:
        list(JsonItems(itertools.chain([b'[{},\n{"text": "'], itertools.repeat(b"x" * 100)), 5_000, "a.json"))
    assert error.value.code == "ROW_NOT_JSON" and error.value.where == "a.json:2"


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'[{"a": 1},\n{"a" 2}]', "a.json:2"),
        (b'[{"a": 1},\n]', "a.json:2"),
        (b'[{"a": 1}\n{"a": 2}]', "a.json:2"),
        (b'[{"a": 1},\n{"a": 2}', "a.json:2"),
        (b'[{"a": 1}]\n\n[]', "a.json:3"),
        (b'{"a": 1}\n{"a" 2}', "a.json:2"),
        (b'{"a": 1}\n\n[]', "a.json:3"),
    ],
)
def test_f11_a_malformed_json_document_is_refused_with_the_line(data, where):
    for width in (1, 5, 1000):
        assert refusal(JsonItems, data, width) == ("ROW_NOT_JSON", where)


@given(st.lists(st.sampled_from([b'{"a": 1}', b"{", b'"\xff"', b"x" * 60, b""]), max_size=9), widths)
def test_f11_a_malformed_line_that_may_go_takes_no_other_with_it(lines, width):
    data, errors = b"\n".join(lines), []
    found = list(lines_of(blocks(data, width), 50, "a", errors.append))
    assert [line for line, _, _ in found] == [n for n, line in enumerate(lines, 1) if line == b'{"a": 1}']
    assert all(data[byte:].startswith(b'{"a": 1}') for _, byte, _ in found)
    assert [str(error.where) for error in errors] == [
        f"a:{n}" for n, line in enumerate(lines, 1) if line not in (b'{"a": 1}', b"")
    ]
