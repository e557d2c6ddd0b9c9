"""Triples in batches. Stored ones are views of memory-mapped files, each ``bos prefix | bos suffix eos``.

Models see a row in one of two ways. Apart: the encoder reads ``bos prefix``, the decoder ``bos suffix``. Joined: one
sequence ``bos prefix suffix`` for a causal model. Either way the labels are ``suffix eos``, one per place at which the
next token is to be predicted, so the same row has the same labels and losses can be compared.

Shapes: N rows, S encoder places, T places that have a label or could have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from assets_data.domains.text.read import Triple, TripleTable

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100
"""The label of a place that is not judged; torch's losses skip it."""


class TripleRows(Protocol):
    """Rows of one split by number. ``row_keys`` are uint64[n], ``pad`` is the id that fills up batches."""

    @property
    def row_keys(self) -> np.ndarray: ...
    @property
    def pad(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, row: int) -> Triple: ...


def sequence_lengths(rows: TripleRows, joined: bool) -> np.ndarray:
    """int64[k, n]: tokens of each row's k sequences as the model sees them: encoder and decoder, or the joined one."""
    if isinstance(rows, TripleTable):
        begin, end, decoder_begin, decoder_end = rows.spans_4N
        apart_2N = np.stack([end - begin, decoder_end - decoder_begin - 1])
    else:
        sizes = [(len(rows[row].encoder_ids), len(rows[row].labels)) for row in range(len(rows))]
        apart_2N = np.array(sizes, np.int64).reshape(-1, 2).T
    return apart_2N.sum(axis=0, keepdims=True) - 1 if joined else apart_2N


def longest(rows: TripleRows, joined: bool = False) -> int:
    """Tokens of the longest sequence; 0 where there is no row."""
    return int(sequence_lengths(rows, joined).max(initial=0))


def tokens_per_row(rows: TripleRows, joined: bool = False) -> float:
    """Mean over the rows of all tokens the model reads of one; 0 where there is no row."""
    return float(sequence_lengths(rows, joined).sum(axis=0).mean()) if len(rows) else 0.0


def join(triple: Triple) -> tuple[np.ndarray, np.ndarray]:
    """``(ids, labels)`` of one causal sequence: ``bos prefix suffix``, and the next token at each place of the suffix.

    The prefix's last place predicts the suffix's first token; every place before it has the label ``IGNORED``.
    """
    ids_T = np.concatenate((triple.encoder_ids, triple.decoder_input_ids[1:]))
    unjudged = np.full(len(triple.encoder_ids) - 1, IGNORED, np.int64)
    return ids_T, np.concatenate((unjudged, triple.labels))


def joined_batch(rows: TripleRows, numbers: np.ndarray) -> dict[str, Tensor]:
    """Some rows as CPU tensors, int64: ``input_ids`` NT and ``labels`` NT, already one place ahead of them.

    Padding is at the end, where a causal model's other places do not see it, so no mask is needed.
    """
    import torch

    ids, labels = zip(*(join(rows[row]) for row in numbers.tolist()), strict=True)
    return {"input_ids": torch.from_numpy(pad(ids, rows.pad)), "labels": torch.from_numpy(pad(labels, IGNORED))}


def pad_batch(rows: TripleRows, numbers: np.ndarray) -> dict[str, Tensor]:
    """Some rows as CPU tensors: int64 ``encoder_ids`` NS, ``decoder_ids`` NT and ``labels`` NT (-100 where padded), and
    bool ``encoder_mask`` NS (true where not).
    """
    import torch

    encoder, decoder, labels = zip(*(rows[row] for row in numbers.tolist()), strict=True)
    ids_NS, mask_NS = pad_masked(encoder, rows.pad)
    arrays = {"encoder_ids": ids_NS, "encoder_mask": mask_NS, "decoder_ids": pad(decoder, rows.pad)}
    return {name: torch.from_numpy(array) for name, array in (arrays | {"labels": pad(labels, IGNORED)}).items()}


def pad_masked(sequences: Sequence[Sequence[int] | np.ndarray], value: int) -> tuple[np.ndarray, np.ndarray]:
    """``(ids_NS, mask_NS)``: padded sequences, and where they are not padding."""
    lengths_N1 = np.array([len(sequence) for sequence in sequences])[:, None]
    padded_NS = pad(sequences, value)
    return padded_NS, np.arange(padded_NS.shape[1]) < lengths_N1


def pad(sequences: Sequence[Sequence[int] | np.ndarray], value: int) -> np.ndarray:
    """int64[N, longest]: the sequences, filled up with ``value`` at their ends."""
    padded = np.full((len(sequences), max(map(len, sequences))), value, np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded
