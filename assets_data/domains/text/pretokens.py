r"""The pre-tokens of byte-level BPE, found by whole-array arithmetic: BPE merges inside of one and never across.

The ``ByteLevel`` pre-tokenizer cuts a text by one pattern (Radford et al. 2019, GPT-2):

    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

So, contractions aside, whether it cuts between two characters depends on the kinds of those two and of the next. Of
which kind a character is, it is asked itself, once: its Unicode tables are not Python's.

Legend: B bytes, C characters, D texts, P pre-tokens, Q quotes.
"""

from __future__ import annotations

import itertools

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

_LETTER, _NUMBER, _MARK, _SPACE, _BLANK, _END = range(6)  # a blank is one other than the space; the end, of the text
_KINDS, _UNASKED = 6, 255
_WORDS = {_LETTER: "a", _NUMBER: "1", _MARK: "!"}  # a run of one kind is a pre-token, with one space before it
_CONTRACTED = ("s", "t", "re", "ve", "m", "ll", "d")  # what follows the quote


def cut(utf8: memoryview, offsets_D: np.ndarray) -> np.ndarray:
    """int64[P+1]: the bytes at which the pre-tokens of some texts begin, and where the last one ends.

    The texts lie end to end in ``utf8``; int64[D+1] ``offsets_D`` says at which byte each begins, and the last ends.
    """
    bytes_B = np.frombuffer(utf8, np.uint8)
    places_C = np.append(np.flatnonzero(bytes_B & 0xC0 != 0x80), len(bytes_B))
    points_C = np.frombuffer(str(utf8, "utf-8").encode("utf-32-le"), np.uint32)
    ends_D = np.searchsorted(places_C, offsets_D)
    begins = ends_D[ends_D < len(points_C)]
    kinds_C = _kinds(points_C)
    before_C, after_C = np.roll(kinds_C, 1), np.roll(kinds_C, -1)
    before_C[begins] = after_C[begins - 1] = _END
    cuts_C = _CUTS[before_C * np.uint8(_KINDS**2) + kinds_C * np.uint8(_KINDS) + after_C]
    cuts_C[begins] = True
    _cut_contractions(cuts_C, before_C, points_C, ends_D)
    return places_C[np.append(np.flatnonzero(cuts_C), len(points_C))]


def _cut_contractions(cuts_C: np.ndarray, before_C: np.ndarray, points_C: np.ndarray, ends_D: np.ndarray) -> None:
    """Where a pre-token begins with a quote and what can be contracted: cut behind both, and not between them.

    None begins at a quote behind a space, which it takes with it, or behind another mark.
    """
    quotes = np.flatnonzero(points_C == ord("'"))
    quotes = quotes[(before_C[quotes] != _SPACE) & (before_C[quotes] != _MARK)]
    left_Q = ends_D[np.searchsorted(ends_D, quotes, side="right")] - quotes
    for letters in _CONTRACTED:
        found = quotes[left_Q > len(letters)]
        for place, letter in enumerate(letters, start=1):
            found = found[points_C[found + place] == ord(letter)]
        after = found + 1 + len(letters)
        cuts_C[found + 1] = False
        cuts_C[after[after < len(cuts_C)]] = True


def _kinds(points_C: np.ndarray) -> np.ndarray:
    kinds_C = _ASKED[points_C]
    if len(new := np.unique(points_C[kinds_C == _UNASKED])):
        _ASKED[new] = [_kind(chr(point)) for point in new.tolist()]
        kinds_C = _ASKED[points_C]
    return kinds_C


def _kind(character: str) -> int:
    of = (kind for kind, like in _WORDS.items() if len(_PRETOKENIZER.pre_tokenize_str(like + character)) == 1)
    return next(of, _SPACE if character == " " else _BLANK)


def _is_cut(before: int, behind: int, following: int) -> bool:
    """Whether a pre-token begins between ``before`` and ``behind``: of blanks before a word, the last is by itself."""
    if before in _WORDS:
        return behind != before
    if behind in _WORDS:
        return before != _SPACE
    return following in _WORDS


_PRETOKENIZER = ByteLevel(add_prefix_space=False)
_ASKED = np.full(0x110000, _UNASKED, np.uint8)  # by code point; the same whichever thread asked
_CUTS = np.array([_is_cut(*kinds) for kinds in itertools.product(range(_KINDS), repeat=3)])
