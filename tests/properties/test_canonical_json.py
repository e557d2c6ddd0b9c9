"""Canonical JSON: one spelling per meaning, read back as what was written."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import canonical_json, digest_json
from assets_data.lineage.identity.digests import load_json
from tests.properties.documents import DOCUMENTS, OBJECTS, meaning, turned


@given(DOCUMENTS)
def test_equal_documents_have_equal_bytes_whatever_the_order_of_their_members(document):
    assert canonical_json(turned(document)) == canonical_json(document)
    assert digest_json(turned(document)) == digest_json(document)


@given(DOCUMENTS, DOCUMENTS)
def test_documents_that_say_something_else_have_other_bytes(one, other):
    assert (canonical_json(one) == canonical_json(other)) == (meaning(one) == meaning(other))


@given(DOCUMENTS)
def test_what_is_read_back_is_what_was_written_and_writes_the_same(document):
    data = canonical_json(document)
    again = load_json(data, "here")
    assert meaning(again) == meaning(document) and canonical_json(again) == data


@given(DOCUMENTS | OBJECTS | st.dictionaries(st.text('ab\x00\x1f\x7f\\"/\u2028é', max_size=4), st.text(), max_size=6))
def test_the_bytes_are_those_of_the_reference_implementation(document):
    assert canonical_json(document) == rfc8785.dumps(document)


@pytest.mark.parametrize("document", [2**53, -(2**53), [float("nan")], {"a": float("inf")}, {1: 2}, "\ud800", {1, 2}])
def test_what_the_reference_implementation_refuses_is_refused_in_its_words(document):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever it raises
        rfc8785.dumps(document)
    with pytest.raises(type(theirs.value)) as ours:
        canonical_json(document)
    assert str(ours.value) == str(theirs.value)


@given(OBJECTS)
def test_members_are_sorted_by_their_utf16_units(document):
    names: list[list[str]] = []
    json.loads(canonical_json(document), object_pairs_hook=lambda pairs: names.append([name for name, _ in pairs]))
    assert all(members == sorted(members, key=lambda name: name.encode("utf-16-be")) for members in names)


@given(st.integers(min_value=2**53 + 1) | st.integers(max_value=-(2**53) - 1))
def test_an_integer_that_a_double_may_not_hold_is_refused(number):
    with pytest.raises(ValueError, match="safe integer"):
        canonical_json({"n": number})
