"""Every row is accounted for in documents; and no row, whatever it says, takes time that grows with its square."""

import dataclasses
import random
import unicodedata
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from assets_data.domains.text.clean import REASONS, cleaned, composed_form, with_ordered_marks
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.triples import WINDOWS_LOST, WITHOUT_WINDOW
from assets_data.domains.text.words import cut_long_words, longest_word
from assets_data.sources.extract_config import ExtractConfig, QaConfig
from tests.assets_data.domains.text.corpora import (
    TEXT,
    documents,
    documents_of,
    raw_of,
    rows_of,
    source_of,
    trained,
    triples_of,
)

PIECES = ByteLevel(add_prefix_space=False)
LONG = {
    "letters": "ab" * 80_000,
    "one letter": "a" * 160_000,
    "digits": "0123456789" * 16_000,
    "marks": "=-" * 80_000,
    "blanks": "x" + " " * 160_000 + "y",
    "ideographs": "".join(chr(0x4E00 + place % 3000) for place in range(160_000)),
    "half of each": "a1" * 40_000 + "b" * 80_000,
}


def lengths(text):
    return [end - begin for _, (begin, end) in PIECES.pre_tokenize_str(text)]


def with_windows(window, **bounds):
    return dataclasses.replace(
        TEXT,
        documents=dataclasses.replace(TEXT.documents, **bounds),
        triples=dataclasses.replace(TEXT.triples, window=window, min_window=min(window, 100)),
    )


@pytest.mark.parametrize(("window", "without"), [(32, 0), (400, 1)])
def test_every_record_is_a_listed_document_or_counted_once(store, tmp_path, window, without):
    """Windows are counted beside: their sum is no number of documents."""
    texts = [*documents(40), *documents(5), "too short", "1 2 3 4 5 6 7 8 9 " * 9, "w" * 3000]
    raw, config = raw_of(store, tmp_path / "in", texts), with_windows(window, max_word_chars=1000)
    triples = triples_of(store, raw, trained(store, raw, config), config)
    dropped = triples.read_json("dropped.json")
    lost = sum(dropped[reason] for reason in (*REASONS, WITHOUT_WINDOW))
    assert raw.stats["rows"] == len(texts) == triples.stats["documents"] + lost
    assert {name: dropped[name] for name in ("long_word", "duplicate", "too_short", "few_letters")} == {
        "long_word": 1,
        "duplicate": 5,
        "too_short": 1,
        "few_letters": 1,
    }
    assert (dropped[WITHOUT_WINDOW] > 0) == bool(without) and dropped["short_window"] >= dropped[WITHOUT_WINDOW]


def test_a_pair_that_fits_no_window_is_a_document_without_one(store, tmp_path):
    rows = [{"q": f"what is number {n}?", "a": text} for n, text in enumerate(documents(30))]
    path = tmp_path / "in" / "rows.jsonl"
    path.parent.mkdir()
    pl.DataFrame(rows).write_ndjson(path)
    source = source_of(path.parent, extract=ExtractConfig(qa=QaConfig(question="q", answer="a")))
    raw, config = make_raw_slice(store, "files-0", source), with_windows(300)
    triples = triples_of(store, raw, trained(store, raw, config), config)
    dropped = triples.read_json("dropped.json")
    assert dropped[WITHOUT_WINDOW] == sum(dropped[name] for name in WINDOWS_LOST) > 0  # a pair has one window
    assert triples.stats["documents"] + dropped[WITHOUT_WINDOW] == 30


@pytest.mark.parametrize("kind", LONG)
def test_what_trains_the_tokenizer_is_linear_in_the_length_of_a_word(kind):
    """Counted, not timed: a piece costs at most its length times the bound, and pieces say what the text says."""
    for share in (4, 2, 1):
        text = f"before {LONG[kind][: len(LONG[kind]) // share]} behind"
        pieces = list(cut_long_words(text, 1024, PIECES))
        every = [length for piece in pieces for length in lengths(piece)]
        assert "".join(pieces) == text and sum(every) == len(text)
        assert max(every) <= 1024 and sum(length**2 for length in every) <= 1024 * len(text)


@given(st.lists(st.text(st.sampled_from("ab1=é漢 \n'"), max_size=40), max_size=6).map("".join), st.integers(1, 12))
def test_only_longer_pieces_are_cut(text, most):
    expected = [
        text[begin + place : min(begin + place + most, end)]
        for _, (begin, end) in PIECES.pre_tokenize_str(text)
        for place in range(0, end - begin, most)
    ]
    found = [
        piece[begin:end]
        for piece in cut_long_words(text, most, PIECES)
        for _, (begin, end) in PIECES.pre_tokenize_str(piece)
    ]
    assert found == expected


def test_ordinary_text_trains_the_same_tokenizer_under_any_bound_it_keeps(store, tmp_path):
    def tokenizer(name, texts, most):
        config = dataclasses.replace(TEXT, tokenizer=dataclasses.replace(TEXT.tokenizer, max_word_chars=most))
        return trained(store, raw_of(store, tmp_path / name, texts), config).id

    texts = documents(20)
    assert tokenizer("one", texts, 64) == tokenizer("one", texts, 10**9) != tokenizer("one", texts, 2)


def test_a_long_word_is_kept_up_to_the_bound_and_with_none(store, tmp_path):
    texts = [f"a first word and {'w' * 2000} a last one", f"and one of {'v' * 2001} more", *documents(3)]
    raw = raw_of(store, tmp_path / "in", texts)
    for most, kept in ((2000, 4), (1999, 3), (0, 5)):
        made = documents_of(store, raw, with_windows(32, max_word_chars=most))
        assert made.stats["dropped"]["long_word"] == 5 - kept == 5 - len(rows_of(made))
    assert [longest_word(text) for text in texts[:2]] == [2000, 2001]


def test_many_marks_on_a_letter_compose_as_unicode_says():
    rng = random.Random(0)
    marks = "".join(c for c in map(chr, range(0x300, 0x1F000)) if unicodedata.combining(c))
    for _ in range(500):
        alphabet = [*rng.sample(marks, 12), "\u0f73", "\u0344"]
        runs = ["".join(rng.choices(alphabet, k=rng.choice([1, 63, 64, 65, 300]))) for _ in range(3)]
        text = rng.choice(["", "a", "é", "ệ", "\u1100"]) + rng.choice(["b", "é", "\u0f73", "1"]).join(runs)
        assert composed_form(text) == unicodedata.normalize("NFC", text)
        assert pl.select(cleaned(pl.lit(f"{text}!"))).item() == unicodedata.normalize("NFC", f"{text}!")


@pytest.mark.parametrize("marks", ["\u0301\u0323", "\u0344\u0323", "\u0f73\u0301\u0f39"])
def test_what_unicodedata_must_move_does_not_grow_with_the_marks(marks):
    """Insertion sort moves one mark past every later one of a lower class: counted, not timed."""
    for count in (100, 1000, 10_000):
        text = unicodedata.normalize("NFD", "é") + with_ordered_marks(marks * count)
        classes = [unicodedata.combining(c) for c in text]
        assert sum(one > later > 0 for one, later in pairwise(classes)) <= 1
        assert composed_form("é" + marks * count) == unicodedata.normalize("NFC", text)
