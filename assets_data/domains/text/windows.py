"""Windows, pivots and the flat row layout, as whole-array arithmetic. Knows token ids and offsets, no files.

A row is ``bos prefix bos suffix eos``: the encoder reads ``bos prefix``, the decoder is given ``bos suffix`` and
predicts ``suffix eos``. Encoder and labels never share a position. A pair's prefix is its prompt.

Legend: D documents of a batch, R rows (windows), T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from assets_data.domains.text.config import TriplesConfig
from assets_data.lineage import text_key64, uniform01

SPECIALS_PER_ROW = 3


@dataclass(frozen=True, slots=True)
class Windows:
    """Where each row's tokens lie, int64[R] each: ``document``, ``start`` in it, ``length``, ``begin`` in the flat ids,
    and how many of them are its ``prompt`` (0: plain text).
    """

    document: np.ndarray
    start: np.ndarray
    length: np.ndarray
    begin: np.ndarray
    prompt: np.ndarray

    def where(self, mask_R: np.ndarray) -> Windows:
        """The rows for which ``mask_R`` is true."""
        return Windows(*(getattr(self, field.name)[mask_R] for field in fields(self)))


def cut_windows(lengths_D: np.ndarray, prompts_D: np.ndarray, config: TriplesConfig) -> tuple[Windows, dict[str, int]]:
    """The windows of every document, and how many were dropped as ``short_window`` and as ``long_pair``.

    Plain text (0 in ``prompts_D``) is cut into windows that overlap by ``config.overlap``. A pair (its prompt's tokens,
    then its response's) is one window, never cut: one that does not fit is dropped, or keeps the end of its prompt.
    """
    stride, over_D = config.window - config.overlap, np.maximum(0, lengths_D - config.window)
    counts_D = np.where(prompts_D > 0, 1, (lengths_D > 0) - (-over_D // stride))
    document = np.repeat(np.arange(len(lengths_D)), counts_D)
    paired = (prompts_D > 0)[document]
    start = np.where(paired, over_D[document], _positions(counts_D) * stride)
    length = np.minimum(config.window, lengths_D[document] - start)
    begin = (np.cumsum(lengths_D) - lengths_D)[document] + start
    prompt = np.where(paired, prompts_D[document] - start, 0)
    long = paired & ((prompt < 1) | ((start > 0) & (not config.truncate_prompts)))
    short = ~long & np.where(paired, prompt == length, length < config.min_window)
    windows = Windows(document, start, length, begin, prompt).where(~(long | short))
    return windows, {"short_window": int(short.sum()), "long_pair": int(long.sum())}


def row_keys(record_ids: list[str], start_R: np.ndarray) -> np.ndarray:
    """uint64[R]: a row's key comes from its record's digest and its place there, so no other row can change it."""
    return text_key64([f"{record}#{start}" for record, start in zip(record_ids, start_R.tolist(), strict=True)])


def pivots(row_keys_R: np.ndarray, windows: Windows, config: TriplesConfig) -> np.ndarray:
    """int64[R]: prefix length of each row, in [1, length - 1]: the prompt's, else a pure function of key and length."""
    share = config.pivot_low + (config.pivot_high - config.pivot_low) * uniform01(config.seed, "text/pivot", row_keys_R)
    drawn = np.clip((windows.length * share).astype(np.int64), 1, windows.length - 1)
    return np.where(windows.prompt > 0, windows.prompt, drawn)


def echoes(ids_T: np.ndarray, windows: Windows, pivot_R: np.ndarray) -> np.ndarray:
    """bool[R]: rows whose suffix repeats their prefix token for token, so that the encoder sees every label."""
    mask_R = 2 * pivot_R == windows.length
    for row in np.flatnonzero(mask_R):
        begin, half = windows.begin[row], pivot_R[row]
        mask_R[row] = np.array_equal(ids_T[begin : begin + half], ids_T[begin + half : begin + 2 * half])
    return mask_R


def lay_out(
    ids_T: np.ndarray, windows: Windows, pivot_R: np.ndarray, bos: int, eos: int
) -> tuple[np.ndarray, np.ndarray]:
    """Flat rows and their int64[R+1] offsets: each window's ids with the three specials put in."""
    offsets = np.concatenate([[0], np.cumsum(windows.length + SPECIALS_PER_ROW)]).astype(np.int64)
    plain = np.ones(offsets[-1], dtype=bool)
    values = np.empty(offsets[-1], dtype=ids_T.dtype)
    for places, token in ((offsets[:-1], bos), (offsets[:-1] + 1 + pivot_R, bos), (offsets[1:] - 1, eos)):
        values[places] = token
        plain[places] = False
    spans = zip(windows.begin.tolist(), windows.length.tolist(), strict=True)
    values[plain] = np.concatenate([ids_T[:0], *(ids_T[begin : begin + length] for begin, length in spans)])
    return values, offsets


def _positions(counts: np.ndarray) -> np.ndarray:
    """``0 .. counts[0]-1, 0 .. counts[1]-1, ...`` as one int64 array."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
