"""Long words: a bound for what is a document, and pieces of bounded length for what trains a tokenizer.

A word is what lies between two blanks. Byte-pair encoding is trained in time that grows with the square of a word's
length (every merge moves all symbols behind it), while all other steps are linear: so only training needs the pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import ByteLevel

_WORDS = re.compile(r"\S+")


def longest_word(text: str) -> int:
    """Characters of the longest run without a blank."""
    return max(map(len, text.split()), default=0)


def cut_long_words(text: str, most: int, pieces: ByteLevel) -> Iterator[str]:
    """``text`` where each of its ``pieces`` (words, numbers, marks, blanks) has at most ``most`` characters; else every
    piece by itself, the longer ones cut: a piece alone is the same piece, which parts of a text are not.
    """
    whole = len(text) <= most or max(1 + longest_word(text), *map(len, _WORDS.split(text))) <= most
    if whole:  # the blank before a word is a part of its piece
        yield text
        return
    for _, (begin, end) in pieces.pre_tokenize_str(text):
        yield from (text[place : min(place + most, end)] for place in range(begin, end, most))
