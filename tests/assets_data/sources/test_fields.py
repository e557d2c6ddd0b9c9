"""Field paths: the value a path names, in any nesting, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.sources.fields import ABSENT, parse_field, spelled, texts_in, value_at

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
steps = st.tuples(names, st.lists(st.one_of(names, st.integers(0, 3)), max_size=5)).map(lambda s: (s[0], *s[1]))


def path_of(steps):
    """Names that hold a dot, a bracket or nothing at all are quoted."""
    texts = [f"[{step}]" if isinstance(step, int) else spelled(step) for step in steps]
    return "".join(text if text.startswith("[") else f".{text}" for text in texts).removeprefix(".")


def nested(path, value):
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [None] * step + [value]
    return value


@given(steps, st.integers())
def test_a_path_names_the_value_at_its_end(path, value):
    assert parse_field(path_of(path)) == path
    assert value_at(nested(path, value), path) == value


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b[0].c", 1),
        ("a.b[0].n", None),
        *((path, ABSENT) for path in ("a.b[1].c", "a.x", "a[0]", "a.b.c", "a.b[0].c.d")),
    ],
)
def test_what_is_not_there_is_absent_and_not_null(path, found):
    assert value_at({"a": {"b": [{"c": 1, "n": None}]}}, parse_field(path)) == found


@pytest.mark.parametrize(
    ("path", "steps"),
    [('["a.text"]', ("a.text",)), ('m["x[0]"].y[2]', ("m", "x[0]", "y", 2)), ('a["\\"\\u00e9"]', ("a", '"é'))],
)
def test_a_name_that_holds_a_dot_or_a_bracket_is_a_quoted_step(path, steps):
    assert parse_field(path) == steps


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".a",
        "a.",
        "a..b",
        "[0]",
        "a[x]",
        "a[-1]",
        "a[0",
        "a]",
        "a[0]b",
        "a.[0]",
        '["a',
        '["a"]b',
        "['a']",
        '["\\x"]',
    ],
)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="not a field path"):
        parse_field(path)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("x", ["x"]),
        ("", [""]),
        ("nan", ["nan"]),
        (7, ["7"]),
        (2.5, ["2.5"]),
        (["x", "y"], ["x", "y"]),
        ([["x", 1], [], ["z", None]], ["x", "1", "z"]),
        ([], []),
        (None, []),
        (ABSENT, []),
        *((value, []) for value in (float("nan"), float("inf"), -float("inf"), [float("nan")])),
    ],
)
def test_strings_numbers_and_all_elements_of_a_list_are_texts_and_what_is_no_number_is_nothing(value, texts):
    assert texts_in(value) == texts


@pytest.mark.parametrize("value", [True, {"x": 1}, b"x", [{"x": 1}], ["x", True]])
def test_nothing_else_is_text(value):
    with pytest.raises(TypeError):
        texts_in(value)


def test_lists_within_lists_need_no_stack():
    value = "deep"
    for _ in range(100_000):
        value = [value]
    assert texts_in(value) == ["deep"]
