"""The quick reading of canonical JSON: it takes nothing that the strict one would refuse or read otherwise."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import IntegrityError, canonical_json
from assets_data.lineage.identity.canonical import is_plain, read_plain
from assets_data.lineage.identity.digests import load_json, load_spelled
from tests.properties.documents import DOCUMENTS, meaning

ODD = [
    b'{"a":1,"a":1}',  # a member twice
    b'{"b":1,"a":2}',
    b'{"a": 1}',
    b"[1.0]",
    b"[1e5]",
    b"[-0]",
    b"[NaN]",
    b"[-Infinity]",
    b"[0.00001]",
    b"[1e-05]",
    b"[1000000000000000.5]",
    b"[9007199254740992]",
    b"[-9007199254740993]",
    b"9007199254740993",
    b'{"n":12345678901234567890}',
    b'["\\u0041"]',
    b'["\\ud800"]',
    b'["a/\\/"]',
    b'["\\t\\u000A"]',
    b"[1]\n\n",
    b"[1] ",
    b"\xef\xbb\xbf[1]",
    b'["\xc3\xa9"]',
    b"[1,]",
    b"",
    b"\n",
]


@pytest.mark.parametrize("data", ODD)
def test_what_is_spelled_in_another_way_is_left_to_the_strict_reader(data):
    assert read_plain(data) is None


@given(DOCUMENTS)
def test_a_document_that_is_read_quickly_is_the_strict_one_and_its_canonical_form_is_the_reference_s(document):
    data = canonical_json(document)
    quick = read_plain(data + b"\n")
    if quick is None:
        assert not (is_plain(document) and data.isascii() and max(map(len, _digits(data)), default=0) < 16)
    else:
        assert quick.canonical == data == rfc8785.dumps(quick.document)
        assert meaning(quick.document) == meaning(document)


@given(DOCUMENTS, st.integers(0, 40), st.sampled_from([b" ", b"0", b'"', b"\\", b",", b"1e3", b"\x00", b"\xff", b"-"]))
def test_a_byte_too_many_is_read_as_the_strict_reader_reads_it_or_not_at_all(document, at, more):
    data = canonical_json(document)
    data = data[:at] + more + data[at:]
    if quick := read_plain(data):
        assert quick.canonical == rfc8785.dumps(json.loads(data)) == data.removesuffix(b"\n")


@given(DOCUMENTS)
def test_a_document_and_its_canonical_form_are_the_same_however_they_were_read(document):
    spaced = json.dumps(document, indent=1).encode()
    quick, strict = load_spelled(canonical_json(document), "here"), load_spelled(spaced, "there")
    assert quick.canonical == strict.canonical and meaning(quick.document) == meaning(strict.document)
    part = {"part": quick.document, "again": [quick.document]}
    assert quick.digest(part) == strict.digest({"part": strict.document, "again": [strict.document]})


def test_nesting_is_bounded_however_plain_a_document_is():
    deep = b"[" * 101 + b"]" * 101
    with pytest.raises(IntegrityError) as error:
        load_json(deep, "here")
    assert error.value.code == "JSON_MALFORMED" and "deeper than 100" in str(error.value)


def _digits(data: bytes) -> list[bytes]:
    return "".join(c if c.isdigit() else " " for c in data.decode()).encode().split()
