"""Cleaning: idempotent, the same for every script, a reason for every document that is dropped."""

import hashlib
import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.domains.text.clean import SeenDigests, cleaned, drop_reasons
from assets_data.domains.text.config import DocumentsConfig

# Text with what cleaning is about: line ends, blanks, controls, combining marks, the byte order mark.
messy = st.text(
    st.sampled_from("aé\u0301 \t\n\r\x00\x0b\x0c\x1f\x7f\x85\x9f\ufeff\u00a0\u3000가\u1100\u1161漢🙂"), max_size=30
)


def clean(*texts):
    return pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(cleaned(pl.col("text")))["text"].to_list()


def reasons(*texts, **bounds):
    return drop_reasons(pl.Series(texts), DocumentsConfig(**bounds)).to_list()


@given(st.lists(st.one_of(messy, st.text(max_size=30)), min_size=1, max_size=5))
def test_cleaning_is_idempotent_and_row_by_row(texts):
    once = clean(*texts)
    assert clean(*once) == once
    assert once == [clean(text)[0] for text in texts]


@given(messy)
def test_cleaned_text_is_nfc_without_controls_trailing_blanks_or_double_empty_lines(text):
    (result,) = clean(text)
    assert unicodedata.is_normalized("NFC", result)
    assert not any(unicodedata.category(c) == "Cc" and c not in "\t\n" for c in result) and "\ufeff" not in result
    assert "\n\n\n" not in result and not any(line.endswith((" ", "\t")) for line in result.split("\n"))
    assert result.strip("\n") == result


@given(messy)
def test_cleaning_only_composes_and_removes_blanks_and_controls(text):
    def essence(value):
        visible = (c for c in unicodedata.normalize("NFD", value) if not c.isspace())
        return [c for c in visible if unicodedata.category(c) != "Cc" and c != "\ufeff"]

    assert essence(clean(text)[0]) == essence(text)


def test_indentation_and_single_empty_lines_stay():
    code = "    @decorated\ndef f():\n\tif x:\n        return 1\n\n    return 2"
    assert clean(f"\r\n{code}  \n\n\n\n") == [code]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\rtwo\r\nthree\n\rfour", "one\ntwo\nthree\n\nfour"),  # every kind of line end is one
        ("one\n\n\ntwo", "one\n\ntwo"),
        ("one\n \n\t\n\n\ntwo", "one\n\ntwo"),
        ("one\t \ntwo \t", "one\ntwo"),
        ("\n\n  one", "  one"),
        ("ﬁ ① ｗ e\u0301", "ﬁ ① ｗ é"),  # composed, but no letter replaced by one that only looks alike
        ("a\x7fb\x80c\x0bd\ufeffe", "abcde"),
    ],
)
def test_what_cleaning_changes_and_what_it_leaves(text, expected):
    assert clean(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog, twice.",
        "これは日本語の文章です。句読点も含めて、空白のない長い段落を書くことができます。",
        "Это предложение написано на русском языке без всякой причины.",
        "هذه جملة مكتوبة باللغة العربية دون أي سبب خاص على الإطلاق",
        "यह वाक्य बिना किसी विशेष कारण के हिन्दी में लिखा गया है और ठीक है",
        "ภาษาไทยไม่มีช่องว่างระหว่างคำและมีสระกับวรรณยุกต์จำนวนมากในประโยค",
        "def f(x):\n    return {key: value + 1 for key, value in x.items()}",
    ],
)
def test_ordinary_text_of_any_script_is_kept(text):
    assert reasons(*clean(text)) == [None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a" * 31 + " " * 50, "too_short"),
        ("a" * 31 + "\t" * 50, "too_short"),
        ("a" * 31 + "\n" * 50, "too_short"),
        ("", "too_short"),
        ("ab " * 700_000, "too_long"),
        ("1234, " * 20, "few_letters"),
        ("=" * 40 + " a table " + "|" * 40, "few_letters"),
        ("the same line\n" * 9 + "another line", "repetitive"),
    ],
)
def test_every_bound_drops_with_its_own_reason(text, reason):
    assert reasons(text) == [reason]


def test_combining_marks_count_as_letters():
    assert reasons("q\u0323\u0307\u0302" * 10) == [None]


def test_bounds_are_exact():
    assert reasons("a" * 32, "a" * 31) == [None, "too_short"]
    assert reasons("a" * 50, "a" * 51, max_chars=50) == [None, "too_long"]
    assert reasons("aa" + "1" * 3, "a" + "1" * 4, min_chars=5) == [None, "few_letters"]
    ten_lines = [
        "\n".join(["line"] * (11 - distinct) + [f"line {i}" for i in range(distinct - 1)]) for distinct in (3, 2)
    ]
    assert reasons(*ten_lines, min_letter_share=0.0) == [None, "repetitive"]
    assert reasons(f"{ten_lines[0]}\nline", min_letter_share=0.0) == ["repetitive"]  # three of eleven


@given(st.lists(st.lists(st.integers(0, 12), max_size=8), max_size=6))
def test_a_digest_is_unseen_exactly_once_over_all_calls(batches):
    # Every third digest ends in zero bytes, which fixed-width numpy strings do not tell from padding.
    digests = [hashlib.sha256(bytes([i])).digest()[: 32 - 4 * (i % 3 == 0)].ljust(32, b"\0") for i in range(13)]
    seen, known = SeenDigests(), set()
    for batch in batches:
        expected = [not (i in known or known.add(i)) for i in batch]
        given = np.frombuffer(b"".join(digests[i] for i in batch), np.uint8).reshape(-1, 32)
        assert seen.unseen(given).tolist() == expected
