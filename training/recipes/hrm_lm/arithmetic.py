"""Made-up sums: "What is a + b?" for all a, b in 10..99, as bytes. Pure functions of the data config.

Held out are unordered pairs: neither a + b nor b + a of a held-out sum is ever trained on.
"""

from __future__ import annotations

import numpy as np

from assets_data.domains.text.read import SPLITS, Triple
from assets_data.lineage import text_key64, uniform01
from training.generation import BOS, EOS, PAD, encode_bytes
from training.recipes.hrm_lm.config import DataConfig

NUMBERS = range(10, 100)


class ArithmeticRows:
    """The sums of one split as triples."""

    pad = PAD

    def __init__(self, split: str, config: DataConfig) -> None:
        self.pairs_N2 = sums(split, config)
        self.row_keys = text_key64([question(a, b) for a, b in self.pairs_N2.tolist()])
        self._triples = [_triple(a, b) for a, b in self.pairs_N2.tolist()]

    def __len__(self) -> int:
        return len(self.pairs_N2)

    def __getitem__(self, row: int) -> Triple:
        """Question, and answer with and without its end."""
        return self._triples[row]


def sums(split: str, config: DataConfig) -> np.ndarray:
    """int64[N, 2]: the pairs of one split, ascending. ``test`` decides, ``validation`` is watched during training."""
    pairs_N2 = np.stack(np.meshgrid(NUMBERS, NUMBERS, indexing="ij"), axis=-1).reshape(-1, 2)
    unordered = text_key64([f"{a}+{b}" for a, b in np.sort(pairs_N2, axis=1).tolist()])
    draw = uniform01(config.seed, "arithmetic/split", unordered)
    share = config.heldout_share
    return pairs_N2[np.select([draw < share, draw < 2 * share], [2, 1], default=0) == SPLITS.index(split)]


def question(a: int, b: int) -> str:
    """What the encoder reads."""
    return f"What is {a} + {b}?"


def answer(a: int, b: int) -> str:
    """What the decoder must write."""
    return str(a + b)


def _triple(a: int, b: int) -> Triple:
    written = np.array([BOS, *encode_bytes(answer(a, b)), EOS])
    return Triple(np.array([BOS, *encode_bytes(question(a, b))]), written[:-1], written[1:])
