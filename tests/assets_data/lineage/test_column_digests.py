"""A column's digest is that of its type, its values' bytes and its lengths, worked out here from Python's values."""

import hashlib
import struct

import pyarrow as pa
import pytest

from assets_data.lineage import DataError
from assets_data.lineage.identity.columns import ColumnHasher

TEXTS = ["", "a", "äö", "", "three", "", "x" * 300]
LISTS = [[1, 2], [], [3], [-4, 5, 6], []]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def said(kind, values, lengths=()):
    packed = b"".join(struct.pack("<q", length) for length in lengths)
    return "sha256:" + sha("\n".join([kind, sha(values), sha(packed)]).encode())


def of_texts(kind, texts):
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    return said(kind, b"".join(encoded), map(len, encoded))


def of_lists(kind, lists, code):
    return said(kind, b"".join(struct.pack(f"<{code}", value) for row in lists for value in row), map(len, lists))


COLUMNS = {
    "string": (TEXTS, pa.string(), lambda rows: of_texts("string", rows)),
    "large string": (TEXTS, pa.large_string(), lambda rows: of_texts("string", rows)),
    "binary": ([t.encode() for t in TEXTS], pa.binary(), lambda rows: of_texts("binary", rows)),
    "large binary": ([t.encode() for t in TEXTS], pa.large_binary(), lambda rows: of_texts("binary", rows)),
    "bool": ([True, False, False, True, True], pa.bool_(), lambda rows: said("bool", bytes(rows))),
    "int16": ([1, -2, 300], pa.int16(), lambda rows: said("int16", struct.pack(f"<{len(rows)}h", *rows))),
    "list": (LISTS, pa.list_(pa.int32()), lambda rows: of_lists("list<int32>", rows, "i")),
    "large list": (LISTS, pa.large_list(pa.int32()), lambda rows: of_lists("list<int32>", rows, "i")),
    "fixed list": (
        [[1, 2], [3, 4], [5, 6]],
        pa.list_(pa.uint16(), 2),
        lambda rows: of_lists("list<uint16>", rows, "H"),
    ),
    "list of flags": (
        [[True], [], [False, True]],
        pa.list_(pa.bool_()),
        lambda rows: of_lists("list<bool>", rows, "?"),
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize(("begin", "end"), [(0, None), (1, None), (0, -1), (1, -1), (0, 0), (2, 2)])
def test_a_column_says_its_rows_however_its_array_is_cut(name, begin, end):
    rows, kind, expected = COLUMNS[name]
    chosen = rows[begin:end]
    hasher = ColumnHasher(pa.field("c", kind))
    hasher.update(pa.array(rows, kind)[begin : begin + len(chosen)])
    assert hasher.digest() == expected(chosen)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_says_its_rows_however_it_is_batched(name):
    rows, kind, expected = COLUMNS[name]
    hasher = ColumnHasher(pa.field("c", kind))
    for row in range(len(rows)):
        hasher.update(pa.array(rows, kind)[row : row + 1])
    assert hasher.digest() == expected(rows)


def test_texts_that_are_all_empty_have_no_values():
    for empty in (pa.array(["", ""]), pa.array([""]), pa.array([], pa.string()), pa.array([b"", b""])):
        hasher = ColumnHasher(pa.field("c", empty.type))
        hasher.update(empty)
        assert hasher.digest() == said(str(empty.type), b"", [0] * len(empty))


@pytest.mark.parametrize(
    "array", [pa.array([1, None]), pa.array([[1, None]]), pa.array([[1], None]), pa.array([None, ""])]
)
def test_a_null_is_refused_also_within_a_list(array):
    with pytest.raises(DataError) as error:
        ColumnHasher(pa.field("c", array.type)).update(array)
    assert error.value.code == "COLUMN_NULL" and error.value.where == "c"


def test_a_type_without_a_digest_is_refused():
    array = pa.array([{"a": 1}])
    with pytest.raises(DataError) as error:
        ColumnHasher(pa.field("c", array.type)).update(array)
    assert error.value.code == "COLUMN_TYPE"
