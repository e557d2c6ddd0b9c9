"""Windows, pivots and the flat row layout, as whole-array arithmetic. Knows token ids and offsets, no files.

A row is ``bos prefix bos suffix eos``: the encoder reads ``bos prefix``, the decoder is given ``bos suffix`` and
predicts ``suffix eos``. Encoder and labels never share a position.

Legend: D documents of a batch, R rows (windows), T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets_data.lineage import text_key64, uniform01
from assets_data.text.config import TriplesConfig

SPECIALS_PER_ROW = 3


@dataclass(frozen=True, slots=True)
class Windows:
    """Where each row's tokens lie, int64[R] each: ``document``, ``start`` in it, ``length``, ``begin`` in flat ids."""

    document: np.ndarray
    start: np.ndarray
    length: np.ndarray
    begin: np.ndarray

    def where(self, mask_R: np.ndarray) -> Windows:
        """The rows for which ``mask_R`` is true."""
        return Windows(self.document[mask_R], self.start[mask_R], self.length[mask_R], self.begin[mask_R])


def cut_windows(lengths_D: np.ndarray, config: TriplesConfig) -> tuple[Windows, int]:
    """Consecutive windows of every document, and how many last windows were too short to keep."""
    counts_D = -(-lengths_D // config.window)
    document = np.repeat(np.arange(len(lengths_D)), counts_D)
    start = _positions(counts_D) * config.window
    length = np.minimum(config.window, lengths_D[document] - start)
    begin = (np.cumsum(lengths_D) - lengths_D)[document] + start
    keep = length >= config.min_window
    return Windows(document, start, length, begin).where(keep), int(len(keep) - keep.sum())


def row_keys(record_ids: list[str], start_R: np.ndarray) -> np.ndarray:
    """uint64[R]: a row's key comes from its record's digest and its place there, so no other row can change it."""
    return text_key64([f"{record}#{start}" for record, start in zip(record_ids, start_R.tolist(), strict=True)])


def pivots(row_keys_R: np.ndarray, length_R: np.ndarray, config: TriplesConfig) -> np.ndarray:
    """int64[R]: prefix length of each row, in [1, length - 1]: a pure function of the row key and the length."""
    share = config.pivot_low + (config.pivot_high - config.pivot_low) * uniform01(config.seed, "text/pivot", row_keys_R)
    return np.clip((length_R * share).astype(np.int64), 1, length_R - 1)


def lay_out(
    ids_T: np.ndarray, windows: Windows, pivot_R: np.ndarray, bos: int, eos: int
) -> tuple[np.ndarray, np.ndarray]:
    """Flat rows and their int64[R+1] offsets: each window's ids with the three specials put in."""
    offsets = np.concatenate([[0], np.cumsum(windows.length + SPECIALS_PER_ROW)]).astype(np.int64)
    within = _positions(windows.length)
    source = np.repeat(windows.begin, windows.length) + within
    target = np.repeat(offsets[:-1] + 1, windows.length) + within + (within >= np.repeat(pivot_R, windows.length))
    values = np.empty(offsets[-1], dtype=ids_T.dtype)
    values[target] = ids_T[source]
    values[offsets[:-1]] = bos
    values[offsets[:-1] + 1 + pivot_R] = bos
    values[offsets[1:] - 1] = eos
    return values, offsets


def _positions(counts: np.ndarray) -> np.ndarray:
    """``0 .. counts[0]-1, 0 .. counts[1]-1, ...`` as one int64 array."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
