"""Field paths: the value a path names, in any nesting, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.sources.fields import as_text, parse_field, value_at

names = st.text(st.characters(exclude_characters=".[]", exclude_categories=["Cs"]), min_size=1, max_size=5)
steps = st.tuples(names, st.lists(st.one_of(names, st.integers(0, 3)), max_size=5)).map(lambda s: (s[0], *s[1]))


def spelled(path):
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


def nested(path, value):
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [None] * step + [value]
    return value


@given(steps, st.integers())
def test_a_path_names_the_value_at_its_end(path, value):
    assert parse_field(spelled(path)) == path
    assert value_at(nested(path, value), path) == value


@pytest.mark.parametrize(
    ("path", "found"),
    [("a.b[0].c", 1), ("a.b[1].c", None), ("a.x", None), ("a[0]", None), ("a.b.c", None), ("a.b[0].c.d", None)],
)
def test_what_is_not_there_is_nothing(path, found):
    assert value_at({"a": {"b": [{"c": 1}]}}, parse_field(path)) == found


@pytest.mark.parametrize("path", ["", ".a", "a.", "a..b", "[0]", "a[x]", "a[-1]", "a[0", "a]", "a[0]b", "a.[0]"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="not a field path"):
        parse_field(path)


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), ("", ""), (7, "7"), (2.5, "2.5"), (["x", "y"], "x"), ([["x"]], "x"), ([], None), (None, None)],
)
def test_strings_numbers_and_first_elements_are_text(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize("value", [True, {"x": 1}, b"x", [{"x": 1}]])
def test_nothing_else_is_text(value):
    with pytest.raises(TypeError):
        as_text(value)
