"""Cells to tokens, and which of them are hidden: numpy only, a batch at a time, every draw keyed by the cell.

What is drawn for a cell depends on (seed, epoch, its row key, the gene's key) and never on the batch it stands in, so a
batch is its cells one by one. Held-out cells are always those of epoch 0. Shapes: B cells, T places, pads at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from assets_data.domains.cells.read import Vocabulary
from assets_data.lineage import mix64, uniform01
from training.recipes.cell_mlm.config import COUNT_BINS, ObjectiveConfig, TokensConfig

PAD = -1
TOTALS = 48
"""Bins of a cell's total: two for every doubling."""
BUCKETS = 24
"""Buckets of ranks, two for every doubling."""
SCALE = 1e4


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What a model must be told with the genes: rides in the checkpoint and decides the tokens of any other cells."""

    tokens: TokensConfig
    bins: np.ndarray
    """float64: edges of the quantile bins, in log1p(1e4 count / total)."""

    @property
    def number(self) -> int:
        """How many bins there are, that of no count included."""
        return 1 + (len(COUNT_BINS) if self.tokens.bins == "counts" else len(self.bins) + 1)

    def bin(self, counts: np.ndarray, values: np.ndarray) -> np.ndarray:
        """int64: 0 for no count, else the bin of the count or of the value."""
        if self.tokens.bins == "counts":
            return np.searchsorted(COUNT_BINS, counts, side="right")
        return np.where(counts > 0, 1 + np.searchsorted(self.bins, values, side="right"), 0)


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A batch of cells. Genes are places in the vocabulary, in rank order, those without a count last."""

    genes_BT: np.ndarray
    counts_BT: np.ndarray
    totals_B: np.ndarray
    keys_B: np.ndarray

    @cached_property
    def valid_BT(self) -> np.ndarray:
        """bool: what is no padding."""
        return self.genes_BT >= 0

    @property
    def values_BT(self) -> np.ndarray:
        """float32: log1p(1e4 count / total). Made when asked for: a logarithm costs as much as a draw."""
        return np.log1p(SCALE * self.counts_BT / np.maximum(self.totals_B, 1)[:, None]).astype(np.float32)


class Ranked(Protocol):
    """Rows of cells in rank order, such as those of the domain's reader."""

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[N]."""
        ...

    @property
    def totals(self) -> np.ndarray:
        """int64[N]."""
        ...

    @property
    def rows(self) -> Any:
        """Whatever has ``take(rows) -> (lengths, genes, counts)``."""
        ...


def preprocessing(config: TokensConfig, vocabulary: Mapping[str, Any]) -> Preprocessing:
    """From the config and the vocabulary's document."""
    return Preprocessing(tokens=config, bins=np.array(vocabulary["bins"]))


def tokenize(
    cells: Ranked,
    rows: np.ndarray,
    epochs: np.ndarray,
    vocabulary: Vocabulary,
    config: TokensConfig,
    seed: int,
    zeros: bool = False,
) -> Tokens:
    """The tokens of some rows. With ``zeros`` a keyed draw of the vocabulary's other genes comes after the expressed.

    No gene that the vocabulary lacks, and no special, is ever drawn.
    """
    lengths, genes, counts = cells.rows.take(rows)
    keys, totals = cells.row_keys[rows], cells.totals[rows]
    most = np.minimum(lengths, round((1 - config.zeros) * config.length) if zeros else config.length)
    if config.selection != "all":
        epoch, row = int(epochs[0]) if len(epochs) else 0, np.repeat(np.arange(len(rows)), lengths)
        chosen = np.isin(genes, _selected(genes, counts, keys, epoch, config, seed, vocabulary))
        genes, counts, lengths = genes[chosen], counts[chosen], np.bincount(row[chosen], minlength=len(rows))
        most = np.minimum(most, lengths)
    if config.tokenizer == "rank_value":
        kept = _heads(lengths, most)
    else:
        row = np.repeat(np.arange(len(rows)), lengths)
        kept = smallest(row, draw(seed, "cells/kept", epochs, keys, row, vocabulary, genes), most)
    genes, counts = genes[kept].astype(np.int64), counts[kept]
    if zeros:
        more = np.round(most * config.zeros / (1 - config.zeros)).astype(np.int64)
        row = np.repeat(np.arange(len(rows)), most)
        row, genes, counts = _with_zeros(row, genes, counts, more, epochs, keys, vocabulary, seed)
        most = np.bincount(row, minlength=len(rows))
    return _padded(most, genes, counts, totals, keys)


def _heads(lengths: np.ndarray, most: np.ndarray) -> np.ndarray:
    """int64: where the first ``most`` of each row's values are, rows of ``lengths`` one after the other."""
    ends = np.cumsum(most)
    return np.arange(most.sum()) + np.repeat(np.cumsum(lengths) - lengths - ends + most, most)


def hide(tokens: Tokens, epochs: np.ndarray, vocabulary: Vocabulary, share: float, seed: int) -> np.ndarray:
    """bool[B, T]: exactly max(1, round(share * n)) genes of a cell of n, those of the smallest keyed mixes."""
    valid_BT = tokens.valid_BT
    row, genes = row_of(valid_BT), tokens.genes_BT[valid_BT]
    most = np.maximum(1, np.round(share * np.count_nonzero(valid_BT, axis=1))).astype(np.int64)
    mixed = draw(seed, "cells/mask", epochs, tokens.keys_B, row, vocabulary, genes)
    mixed_BT = np.full(valid_BT.shape, np.iinfo(np.uint64).max)
    mixed_BT[valid_BT] = mixed
    last_B = np.minimum(most, valid_BT.shape[1]) - 1
    hidden_BT = (mixed_BT <= np.sort(mixed_BT, axis=1)[np.arange(len(last_B)), last_B][:, None]) & valid_BT
    if (np.count_nonzero(hidden_BT, axis=1) > most).any():  # two genes of a cell drew the same 64 bits
        hidden_BT[valid_BT] = smallest(row, mixed, most)
    return hidden_BT


def disguise(
    tokens: Tokens,
    hidden_BT: np.ndarray,
    epochs: np.ndarray,
    vocabulary: Vocabulary,
    config: ObjectiveConfig,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """``(genes_BT as shown, masked_BT)``: of the hidden, some another gene stands for and some stay (BERT's 80/10/10).

    Held-out cells are never disguised: all that is hidden is masked.
    """
    row, genes = row_of(hidden_BT), tokens.genes_BT[hidden_BT]
    mixed = draw(seed, "cells/disguise", epochs, tokens.keys_B, row, vocabulary, genes)
    other = draw(seed, "cells/other", epochs, tokens.keys_B, row, vocabulary, genes) % np.uint64(len(vocabulary.keys))
    chance = (mixed >> np.uint64(11)) * 2.0**-53
    shown_BT, masked_BT = tokens.genes_BT.copy(), hidden_BT.copy()
    shown_BT[hidden_BT] = np.where(chance < config.replaced, other.astype(np.int64), genes)
    masked_BT[hidden_BT] = chance >= config.replaced + config.kept
    return shown_BT, masked_BT


def row_of(chosen_BT: np.ndarray) -> np.ndarray:
    """int64[K]: the row of each chosen place, in reading order. A third of ``np.nonzero``'s cost."""
    return np.repeat(np.arange(len(chosen_BT)), np.count_nonzero(chosen_BT, axis=1))


def rank_bucket(place: np.ndarray) -> np.ndarray:
    """int64: the bucket of a rank, counted from 0: 0, 1, 2, 3-4, ... in steps of the square root of two."""
    return np.minimum((2 * np.log2(place + 1)).astype(np.int64), BUCKETS - 1)


def total_bins(totals: np.ndarray) -> np.ndarray:
    """int64: floor(2 log2(total)), below TOTALS."""
    return np.clip((2 * np.log2(np.maximum(totals, 1))).astype(np.int64), 0, TOTALS - 1)


def draw(
    seed: int,
    stream: str,
    epochs: np.ndarray,
    keys_B: np.ndarray,
    row: np.ndarray,
    vocabulary: Vocabulary,
    genes: np.ndarray,
) -> np.ndarray:
    """uint64 per place: mixed bits of (seed, stream, the cell's epoch, its key, the gene's key)."""
    at = keys_B[row] ^ vocabulary.mixed_keys[genes]
    if len(epochs) and (epochs == epochs[0]).all():
        return mix64(seed, f"{stream}/{epochs[0]}", at)
    mixed = np.empty(len(row), np.uint64)
    for epoch in np.unique(epochs):
        of = epochs[row] == epoch
        mixed[of] = mix64(seed, f"{stream}/{epoch}", at[of])
    return mixed


def smallest(row: np.ndarray, mixed: np.ndarray, most: np.ndarray) -> np.ndarray:
    """bool[n]: in each row (ascending numbers), the places of its ``most[row]`` smallest ``mixed``.

    One sort of integers, the row in the upper 16 bits; where 48 bits of ``mixed`` are not enough, a slower one of both.
    """
    number = np.bincount(row, minlength=len(most))
    keys = (row.astype(np.uint64) << np.uint64(48)) | (mixed >> np.uint64(16))
    ranked = np.sort(keys)
    if len(most) > 1 << 16 or (ranked[1:] == ranked[:-1]).any():
        order = np.lexsort((mixed, row))
        kept = np.empty(len(row), bool)
        kept[order] = _place(row) < most[row]
        return kept
    last = np.cumsum(number) - number + np.minimum(most, number) - 1
    highest = ranked[np.clip(last, 0, None)] if len(ranked) else np.zeros(len(most), np.uint64)
    return (keys <= np.repeat(highest, number)) & np.repeat(most > 0, number)


def _place(row: np.ndarray) -> np.ndarray:
    """int64[n]: the place of each value in its row; rows ascend."""
    number = np.bincount(row)
    return np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)


def _selected(
    genes: np.ndarray,
    counts: np.ndarray,
    keys: np.ndarray,
    epoch: int,
    config: TokensConfig,
    seed: int,
    vocabulary: Vocabulary,
) -> np.ndarray:
    """The genes that a batch looks at: those counted most in it, or a draw keyed by its cells, of those expressed."""
    present = np.unique(genes)
    if config.selection == "most_expressed":
        sums = np.bincount(genes, counts, minlength=len(vocabulary.keys))[present]
        order = np.lexsort((vocabulary.keys[present], -sums))
    else:
        batch = np.bitwise_xor.reduce(keys)
        order = np.argsort(mix64(seed, f"cells/selection/{epoch}", vocabulary.keys[present] ^ batch))
    return present[order[: config.selected]]


def _with_zeros(
    row: np.ndarray,
    genes: np.ndarray,
    counts: np.ndarray,
    more: np.ndarray,
    epochs: np.ndarray,
    keys: np.ndarray,
    vocabulary: Vocabulary,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The expressed genes of each row, then ``more[row]`` of those without a count."""
    free_BG = np.ones((len(keys), len(vocabulary.keys)), bool)
    free_BG[row, genes] = False
    zero_row, zero_gene = np.nonzero(free_BG)
    mixed = draw(seed, "cells/zeros", epochs, keys, zero_row, vocabulary, zero_gene)
    kept = smallest(zero_row, mixed, more)
    rows = np.concatenate([row, zero_row[kept]])
    order = np.argsort(rows, kind="stable")
    genes = np.concatenate([genes, zero_gene[kept]])[order]
    return rows[order], genes, np.concatenate([counts, np.zeros(int(kept.sum()), np.int64)])[order]


def _padded(lengths: np.ndarray, genes: np.ndarray, counts: np.ndarray, totals: np.ndarray, keys: np.ndarray) -> Tokens:
    valid_BT = np.arange(max(1, int(lengths.max(initial=0)))) < lengths[:, None]
    genes_BT, counts_BT = np.full(valid_BT.shape, PAD, np.int64), np.zeros(valid_BT.shape, np.int64)
    genes_BT[valid_BT], counts_BT[valid_BT] = genes, counts
    return Tokens(genes_BT=genes_BT, counts_BT=counts_BT, totals_B=totals, keys_B=keys)


def uniform_cells(seed: int, keys: np.ndarray) -> np.ndarray:
    """float64[n]: a keyed draw per cell, by which cells are chosen for the gate."""
    return uniform01(seed, "cells/gate", keys)
