"""Cleaning as column expressions: one text column in, the cleaned text and the reason it is dropped out.

Promises that cleaning is idempotent and depends on nothing but the text and its bounds. Exact duplicates are found here
too, by digest. Knows no language, no file format, no split.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata

import numpy as np
import polars as pl

from assets_data.domains.text.config import DocumentsConfig
from assets_data.domains.text.words import longest_word
from assets_data.lineage.identity.sorted_sets import found_in

REASONS = (
    "too_short",
    "too_long",
    "long_word",
    "few_letters",
    "repetitive",
    "duplicate",
    "duplicate_across",
    "near_duplicate",
)

# C0 but tab and newline, DEL, C1, and the byte order mark.
_CONTROLS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\x{feff}]"
_MANY_MARKS = 64
_MARKS = range(0x300, 0x1F000)  # every character with a combining class other than 0 lies in here
_PART_FIRST = np.array([bytes([byte]) for byte in range(0, 256, 16)], "S32")  # the least digest of each part of a set


def cleaned(text: pl.Expr) -> pl.Expr:
    r"""``text`` in Unicode NFC with ``\n`` line ends, no control characters, no trailing blanks, at most one empty line
    in a row, and no empty lines at either end. Indentation stays.
    """
    return (
        text.str.replace_all(r"\r\n?", "\n")
        .str.replace_all(_CONTROLS, "")
        .map_batches(_nfc, return_dtype=pl.String, is_elementwise=True)
        .str.replace_all(r"[ \t]+\n", "\n")
        .str.replace_all(r"\n{3,}", "\n\n")
        .str.strip_chars_start("\n")
        .str.strip_chars_end(" \t\n")
    )


def drop_reasons(texts: pl.Series, config: DocumentsConfig) -> pl.Series:
    """Why each cleaned text is dropped (the first of REASONS that holds), or null when it is kept."""
    counts = pl.DataFrame({"text": texts}).select(measures(pl.col("text"), config))
    return counts.select(reason=drop_reason(config)).get_column("reason")


def measures(text: pl.Expr, config: DocumentsConfig) -> list[pl.Expr]:
    """Counts of a cleaned text and whether a word of it is too long, as columns: what :func:`drop_reason` judges."""
    too_long = functools.partial(_long_words, most=config.max_word_chars)
    literal = {name: text.str.count_matches(c, literal=True) for name, c in (("spaces", " "), ("tabs", "\t"))}
    return [
        text.str.len_chars().alias("characters"),
        *(count.alias(name) for name, count in literal.items()),
        text.str.count_matches("\n", literal=True).alias("newlines"),
        text.str.count_matches(r"[^\p{L}\p{M} \t\n]").alias("symbols"),  # fewer than letters, so cheaper to count
        text.str.split("\n").list.n_unique().alias("distinct_lines"),
        text.map_batches(too_long, return_dtype=pl.Boolean, is_elementwise=True).alias("long_word"),
    ]


def drop_reason(config: DocumentsConfig) -> pl.Expr:
    """The reason as an expression over the columns of :func:`measures`; null keeps the text."""
    characters, newlines, symbols = pl.col("characters"), pl.col("newlines"), pl.col("symbols")
    visible = characters - pl.col("spaces") - pl.col("tabs") - newlines
    return (
        pl.when(visible < config.min_chars)
        .then(pl.lit("too_short"))
        .when(characters > config.max_chars)
        .then(pl.lit("too_long"))
        .when(pl.col("long_word"))
        .then(pl.lit("long_word"))
        .when(visible - symbols < visible * config.min_letter_share)
        .then(pl.lit("few_letters"))
        .when(pl.col("distinct_lines") < (newlines + 1) * config.min_distinct_lines)
        .then(pl.lit("repetitive"))
    )


class SeenDigests:
    """A growing set of SHA-256 digests, 32 bytes each: a million documents cost 32 MB.

    They are kept sorted, in parts by their first four bits, so that adding some copies one part at a time.
    """

    def __init__(self) -> None:
        self._parts = [np.zeros(0, dtype="S32") for _ in _PART_FIRST]

    def unseen(self, digests: np.ndarray) -> np.ndarray:
        """bool[n]: True for the first occurrence of a digest that no earlier call was given. Remembers them all.

        ``digests`` is uint8[n, 32].
        """
        batch, first = np.unique(digests.view("S32").ravel(), return_index=True)
        pieces = np.split(batch, np.searchsorted(batch, _PART_FIRST[1:]))
        added = np.concatenate([self._add(number, piece) for number, piece in enumerate(pieces)])
        mask = np.zeros(len(digests), dtype=bool)
        mask[first[added]] = True
        return mask

    def _add(self, number: int, piece: np.ndarray) -> np.ndarray:
        """bool[n]: which of a part's sorted digests are new. Remembers them."""
        part = self._parts[number]
        new = ~found_in(piece, part)
        if new.any():
            self._parts[number] = np.insert(part, np.searchsorted(part, piece[new]), piece[new])
        return new


def _long_words(texts: pl.Series, most: int) -> pl.Series:
    """Which texts have a word of more than ``most`` characters; 0 bounds nothing. Looks at texts that long only."""
    found = np.zeros(len(texts), dtype=bool)
    for place in (texts.str.len_chars() > most).arg_true() if most else ():
        found[place] = longest_word(texts[place]) > most
    return pl.Series(found)


def _nfc(texts: pl.Series) -> pl.Series:
    wide = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()  # ASCII is composed already, and mostly all
    candidates = texts.gather(wide)
    marked = candidates.str.contains(rf"\p{{M}}{{{_MANY_MARKS}}}")
    composed = {
        place: result
        for place, text, many in zip(wide.to_list(), candidates, marked, strict=True)
        if (result := composed_form(text) if many else unicodedata.normalize("NFC", text)) != text
    }
    return texts.clone().scatter(list(composed), list(composed.values())) if composed else texts  # scatter is in place


def composed_form(text: str) -> str:
    """Unicode NFC, in linear time however many marks a letter has."""
    return unicodedata.normalize("NFC", with_ordered_marks(text))


def with_ordered_marks(text: str) -> str:
    """An equivalent text whose long runs of marks are in canonical order: by combining class.

    ``unicodedata`` sorts the marks of a letter by insertion, in time that grows with the square of how many must move.
    """
    return _marks().sub(lambda run: _ordered(run[0]), text)


def _ordered(marks: str) -> str:
    decomposed = itertools.chain.from_iterable(unicodedata.normalize("NFD", mark) for mark in marks)
    return "".join(sorted(decomposed, key=unicodedata.combining))


@functools.cache
def _marks() -> re.Pattern[str]:
    """Runs of at least :data:`_MANY_MARKS` characters that decompose into nothing but marks with a class."""
    decomposed = ((c, unicodedata.normalize("NFD", c)) for c in map(chr, _MARKS))
    found = "".join(re.escape(c) for c, parts in decomposed if all(map(unicodedata.combining, parts)))
    return re.compile(f"[{found}]{{{_MANY_MARKS},}}")
