"""6-mers as tokens. N windows, W bases, T = 1 + W / 6 tokens.

The rule is ours, the ids are those of ``tokenizer.json``: ``<dna>``, then each six bases from the window's first on.
The token of base b is 1 + b // 6; as W is whole sixes and no base is N, none moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assets_data.domains.genome.read import BASES, N
from assets_data.lineage import DataError

K = 6
BEGIN = "<dna>"
_PLACES = 4 ** np.arange(K - 1, -1, -1)


def kmer_ids(tokenizer: Mapping[str, Any]) -> tuple[int, np.ndarray]:
    """The id of ``<dna>``, and int64[4096]: the id of each 6-mer, read as a number of base 4 with A, C, G, T as 0 to 3.

    Raises DataError ENCODER_TOKENS where one is missing.
    """
    vocab = dict(tokenizer.get("model", {}).get("vocab", {}))
    vocab |= {entry["content"]: entry["id"] for entry in tokenizer.get("added_tokens", [])}
    names = [_name(number) for number in range(4**K)]
    missing = [name for name in (BEGIN, *names) if not isinstance(vocab.get(name), int)]
    if missing:
        what = f"tokenizer.json lacks {len(missing)} of {BEGIN} and the 6-mers"
        raise DataError("ENCODER_TOKENS", what, found=missing[:4])
    return vocab[BEGIN], np.array([vocab[name] for name in names], np.int64)


def tokenize(codes_NW: np.ndarray, begin: int, ids: np.ndarray) -> np.ndarray:
    """int64[N, T]. Raises DataError ENCODER_TOKENS for a width that is not whole sixes, and for an N."""
    rows, width = codes_NW.shape
    if width % K:
        action = "set genome.windows.width to a multiple of 6"
        raise DataError("ENCODER_TOKENS", "windows are not whole 6-mers", found=width, action=action)
    if (codes_NW >= N).any():
        raise DataError("ENCODER_TOKENS", "a window holds an N, which no 6-mer has")
    numbers_NT = (codes_NW.reshape(rows, width // K, K).astype(np.int64) * _PLACES).sum(-1)
    return np.concatenate([np.full((rows, 1), begin), ids[numbers_NT]], 1)


def token_of(base: int) -> int:
    """The place of the token that holds a base of the window."""
    return 1 + base // K


def _name(number: int) -> str:
    return "".join(BASES[number // int(place) % 4] for place in _PLACES)
