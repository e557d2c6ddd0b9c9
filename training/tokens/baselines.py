"""What a model must beat: unigram and bigram losses of the same rows, from counts over the training rows.

The bigram backs off to the unigram by a Dirichlet prior (MacKay and Peto 1995) whose weight is picked on the judged
rows themselves, and counts are taken both over judged places and over whole rows, whichever is better: every doubt
is settled in the baseline's favour. A bigram of joined rows sees the prefix's last token where it predicts the suffix's
first, as a causal model does. Losses are nats per token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets_data.domains.text.read import Triple
from training.tokens.rows import TripleRows

COUNTED_ROWS = 200_000
"""Training rows counted at most: past this a bigram table gains little and the preflight would take minutes."""
PRIORS = 10.0 ** np.arange(-1.0, 5.0, 0.5)


@dataclass(frozen=True, slots=True)
class Baselines:
    """Nats per token of the judged rows, and how many tokens these are."""

    unigram: float
    bigram: float
    tokens: int


def baselines(
    train: TripleRows, judged: TripleRows, judged_rows: np.ndarray, vocab_size: int, joined: bool = False
) -> Baselines:
    """The losses of both baselines on ``judged_rows`` of ``judged``, from counts over ``train``."""
    before_T, after_T = _pairs(judged, judged_rows, joined, whole=False)
    counted = np.arange(min(len(train), COUNTED_ROWS))
    found = []
    for whole in (False, True):
        counts = _Counts(*_pairs(train, counted, joined, whole=whole), vocab_size)
        found.append((counts.unigram(after_T), counts.bigram(before_T, after_T)))
    unigram, bigram = (min(losses) for losses in zip(*found, strict=True))
    return Baselines(unigram, bigram, len(after_T))


class _Counts:
    """Counts of tokens and of consecutive pairs; pairs are sparse, so a large vocabulary costs no square."""

    def __init__(self, before_T: np.ndarray, after_T: np.ndarray, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.codes, self.pairs = np.unique(before_T * vocab_size + after_T, return_counts=True)
        self.before_V = np.bincount(before_T, minlength=vocab_size)
        self.p_V = (np.bincount(after_T, minlength=vocab_size) + 1.0) / (len(after_T) + vocab_size)

    def unigram(self, after_T: np.ndarray) -> float:
        """Add-one smoothed."""
        return float(-np.log(self.p_V[after_T]).mean())

    def bigram(self, before_T: np.ndarray, after_T: np.ndarray) -> float:
        """(count(ab) + weight * p(b)) / (count(a) + weight), at the best weight."""
        codes = before_T * self.vocab_size + after_T
        place = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        seen_T = np.where(self.codes[place] == codes, self.pairs[place], 0)
        return min(
            float(-np.log((seen_T + w * self.p_V[after_T]) / (self.before_V[before_T] + w)).mean()) for w in PRIORS
        )


def _pairs(rows: TripleRows, numbers: np.ndarray, joined: bool, *, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """int64[T] twice: each token and the one after it, at every label, and where asked inside prefixes too."""
    before, after = [], []
    for row in numbers.tolist():
        triple = rows[row]
        before.append(_seen(triple, joined))
        after.append(triple.labels)
        if whole:
            before.append(triple.encoder_ids[:-1])
            after.append(triple.encoder_ids[1:])
    return np.concatenate(before).astype(np.int64), np.concatenate(after).astype(np.int64)


def _seen(triple: Triple, joined: bool) -> np.ndarray:
    """The token before each label."""
    if not joined:
        return triple.decoder_input_ids
    return np.concatenate((triple.encoder_ids[-1:], triple.decoder_input_ids[1:]))
