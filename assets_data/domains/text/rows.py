"""The stored rows of triples: their columns, and a reader that gives any row as three views of the mapped file.

Promises that a row costs the same wherever it is: nothing is copied or decoded. Does not write files.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from assets_data.lineage.identity.tables import read_table

SPANS = ("encoder_begin", "encoder_end", "decoder_begin", "decoder_end")
COLUMNS = ("row_key", "record_id", "start", "tokens", *SPANS)
RECORDS_SCHEMA = pa.schema([(name, pa.string()) for name in ("record_id", "origin", "split", "text_id")])


class Triple(NamedTuple):
    """One training example as views of its row; labels are the decoder's input one position later."""

    encoder_ids: np.ndarray
    decoder_input_ids: np.ndarray
    labels: np.ndarray


def rows_schema(token_type: np.dtype) -> pa.Schema:
    """Columns of a ``{split}.arrow`` file; tokens are uint16 while the vocabulary fits."""
    tokens = pa.large_list(pa.from_numpy_dtype(token_type))
    types = [pa.uint64(), pa.string(), pa.uint32(), tokens, *[pa.uint32() for _ in SPANS]]
    return pa.schema(list(zip(COLUMNS, types, strict=True)))


class TripleTable:
    """The rows of one ``{split}.arrow`` file by number. Opening reads the footer; a row is a bisection over the file's
    batches and three slices. Raises IndexError beyond the last row. ``table`` has the other columns, mapped too."""

    def __init__(self, path: Path) -> None:
        self.table: pa.Table = read_table(path)
        batches = [batch for batch in self.table.to_batches() if batch.num_rows]
        self._first = [0, *accumulate(batch.num_rows for batch in batches)]
        self._batches = [_views(batch) for batch in batches]

    def __len__(self) -> int:
        return self._first[-1]

    def __getitem__(self, row: int) -> Triple:
        place = bisect_right(self._first, row) - 1
        if not 0 <= place < len(self._batches):
            raise IndexError(f"row {row} of {len(self)}")
        tokens, offsets, encoder_begin, encoder_end, decoder_begin, decoder_end = self._batches[place]
        at = row - self._first[place]
        row_begin = offsets[at]
        first, last = row_begin + decoder_begin[at], row_begin + decoder_end[at]
        encoder_ids = tokens[row_begin + encoder_begin[at] : row_begin + encoder_end[at]]
        return Triple(encoder_ids, tokens[first : last - 1], tokens[first + 1 : last])


def _views(batch: pa.RecordBatch) -> tuple[np.ndarray, ...]:
    """The tokens, and as memoryviews (whose items are plain ints) the row offsets and the four spans."""
    lists = batch.column("tokens")
    numbers = [lists.offsets, *(batch.column(name) for name in SPANS)]
    return lists.values.to_numpy(), *(array.to_numpy().data for array in numbers)  # type: ignore[return-value]
