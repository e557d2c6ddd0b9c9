"""Triples as rows: encoder ids, decoder ids, labels. Stored ones are views of memory-mapped Arrow files.

Owns the numbering (files in slice order, rows as stored), padding, and the batches' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from assets_data.lineage.identity.tables import read_table

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100
SPLITS = ("train", "validation", "test")
SPANS = ("encoder_begin", "encoder_end", "decoder_begin", "decoder_end")


class Triple(NamedTuple):
    """One example, token ids: what is read, what is given, and what is to be written next at each place."""

    encoder_ids: np.ndarray
    decoder_input_ids: np.ndarray
    labels: np.ndarray


class TripleRows(Protocol):
    """Rows of one split. ``row_keys`` are uint64[n], ``pad`` is the id that fills up batches."""

    @property
    def row_keys(self) -> np.ndarray: ...
    @property
    def pad(self) -> int: ...
    def __len__(self) -> int: ...

    def triple(self, row: int) -> Triple:
        """One row's example."""
        ...


class StoredRows:
    """The rows of some ``{split}.arrow`` files of triples, one after the other."""

    def __init__(self, files: Sequence[Path], pad: int) -> None:
        self.pad = pad
        tables = [read_table(file) for file in files]
        keys = [table["row_key"].to_numpy() for table in tables]
        self.row_keys = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        self._batches = [batch for table in tables for batch in table.to_batches() if batch.num_rows]
        self._begins = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        self._views = [_views(batch) for batch in self._batches]
        spans = [np.stack(views[2]) for views in self._views]
        self.spans_4N = np.concatenate(spans, axis=1).astype(np.int64) if spans else np.empty((4, 0), np.int64)

    def __len__(self) -> int:
        return len(self.row_keys)

    def triple(self, row: int) -> Triple:
        """Views into the mapped file."""
        place = int(np.searchsorted(self._begins, row, side="right")) - 1
        tokens, offsets, _ = self._views[place]
        begin = int(offsets[row - self._begins[place]])
        encoder_begin, encoder_end, decoder_begin, decoder_end = (begin + self.spans_4N[:, row]).tolist()
        return Triple(
            tokens[encoder_begin:encoder_end],
            tokens[decoder_begin : decoder_end - 1],
            tokens[decoder_begin + 1 : decoder_end],
        )


def longest(rows: TripleRows) -> int:
    """Tokens of the longest encoder or decoder sequence."""
    if isinstance(rows, StoredRows):
        encoder, decoder = rows.spans_4N[1] - rows.spans_4N[0], rows.spans_4N[3] - rows.spans_4N[2] - 1
        return int(max(encoder.max(initial=0), decoder.max(initial=0)))
    return max((len(ids) for row in range(len(rows)) for ids in rows.triple(row)), default=0)


def tokens_per_row(rows: TripleRows) -> float:
    """Mean of encoder and decoder tokens together."""
    if isinstance(rows, StoredRows):
        begin, end, decoder_begin, decoder_end = rows.spans_4N
        return float((end - begin + decoder_end - decoder_begin - 1).mean()) if len(rows) else 0.0
    return float(np.mean([sum(map(len, rows.triple(row)[:2])) for row in range(len(rows))]))


def pad_batch(rows: TripleRows, numbers: np.ndarray) -> dict[str, Tensor]:
    """Some rows as CPU tensors: int64 ``encoder_ids`` BS, ``decoder_ids`` BT and ``labels`` BT (-100 where padded), and
    bool ``encoder_mask`` BS (true where not)."""
    import torch

    encoder, decoder, labels = zip(*(rows.triple(row) for row in numbers.tolist()), strict=True)
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


def _views(batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """All token values, where each row begins among them, and the four span columns."""
    lists = batch.column("tokens")
    return lists.values.to_numpy(), lists.offsets.to_numpy(), [batch.column(name).to_numpy() for name in SPANS]
