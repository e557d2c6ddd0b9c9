"""Triples in batches: padding, and the batches' names. Stored ones are views of memory-mapped files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from assets_data.domains.text.read import Triple, TripleTable

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100


class TripleRows(Protocol):
    """Rows of one split by number. ``row_keys`` are uint64[n], ``pad`` is the id that fills up batches."""

    @property
    def row_keys(self) -> np.ndarray: ...
    @property
    def pad(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, row: int) -> Triple: ...


def longest(rows: TripleRows) -> int:
    """Tokens of the longest encoder or decoder sequence."""
    if isinstance(rows, TripleTable):
        encoder, decoder = rows.spans_4N[1] - rows.spans_4N[0], rows.spans_4N[3] - rows.spans_4N[2] - 1
        return int(max(encoder.max(initial=0), decoder.max(initial=0)))
    return max((len(ids) for row in range(len(rows)) for ids in rows[row]), default=0)


def tokens_per_row(rows: TripleRows) -> float:
    """Mean of encoder and decoder tokens together."""
    if isinstance(rows, TripleTable):
        begin, end, decoder_begin, decoder_end = rows.spans_4N
        return float((end - begin + decoder_end - decoder_begin - 1).mean()) if len(rows) else 0.0
    return float(np.mean([sum(map(len, rows[row][:2])) for row in range(len(rows))]))


def pad_batch(rows: TripleRows, numbers: np.ndarray) -> dict[str, Tensor]:
    """Some rows as CPU tensors: int64 ``encoder_ids`` BS, ``decoder_ids`` BT and ``labels`` BT (-100 where padded), and
    bool ``encoder_mask`` BS (true where not)."""
    import torch

    encoder, decoder, labels = zip(*(rows[row] for row in numbers.tolist()), strict=True)
    batch = {
        "encoder_ids": _pad(encoder, rows.pad),
        "encoder_mask": _pad([np.ones(len(ids), np.int64) for ids in encoder], 0).astype(np.bool_),
        "decoder_ids": _pad(decoder, rows.pad),
        "labels": _pad(labels, IGNORED),
    }
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def _pad(sequences: Sequence[np.ndarray], value: int) -> np.ndarray:
    padded = np.full((len(sequences), max(map(len, sequences))), value, np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded
