"""Rows: the same values however the bytes are blocked, and a refusal that names the line for anything else."""

import functools
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import DataError
from assets_data.sources.json_documents import JsonItems
from assets_data.sources.rows import whole_text
from assets_data.sources.rows import json_lines as lines_of

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


def test_one_top_level_value_is_one_row():
    assert list(JsonItems([b' {"text": "x"}\n'], LIMIT, "a")) == [(1, {"text": "x"})]


def test_blank_lines_are_passed_over_and_still_counted():
    assert list(json_lines([b'\n{"a": 1}\n  \n{"a": 2}\n\n'], LIMIT, "a")) == [(2, 1, {"a": 1}), (4, 13, {"a": 2})]


@pytest.mark.parametrize("bad", [b'{"text": "cut', b"{'text': 1}", b"[" * 100_000, b"\xef\xbb\xbf{}"])
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
