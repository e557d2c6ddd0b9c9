"""Tokens and masks: keyed by the cell alone, exact in number, and never a special or a gene that is not there."""

import dataclasses

import numpy as np
import pytest

from assets_data.domains.cells.read import Vocabulary
from assets_data.lineage import mix64
from training.recipes.cell_mlm.config import COUNT_BINS, ObjectiveConfig, TokensConfig
from training.recipes.cell_mlm.tokens import Preprocessing, disguise, hide, smallest, tokenize, total_bins

GENES = 50
VOCABULARY = Vocabulary(
    names=[f"g{n}" for n in range(GENES)],
    keys=mix64(0, "k", np.arange(GENES, dtype=np.uint64)),
    cells=np.ones(GENES, np.int64),
    medians=np.ones(GENES, np.float32),
    document={"bins": [1.0, 2.0, 3.0], "scale": 1e4, "naming": "symbol"},
)


class Rows:
    """Thirty cells of 1 to 30 genes in falling order of counts."""

    def __init__(self):
        draw = np.random.default_rng(0)
        self.genes = [draw.permutation(GENES)[: n + 1].astype(np.uint32) for n in range(30)]
        self.counts = [np.sort(draw.integers(1, 20, n + 1))[::-1].astype(np.uint32) for n in range(30)]
        self.row_keys = draw.integers(0, 2**63, 30).astype(np.uint64)
        self.totals = np.array([int(c.sum()) + 5 for c in self.counts])

    @property
    def rows(self):
        return self

    def take(self, rows):
        lengths = np.array([len(self.genes[r]) for r in rows])
        return lengths, np.concatenate([self.genes[r] for r in rows]), np.concatenate([self.counts[r] for r in rows])


CELLS, ALL = Rows(), np.arange(30)


def tokens(config, rows=ALL, epoch=0, seed=0, zeros=False):
    return tokenize(CELLS, rows, np.full(len(rows), epoch), VOCABULARY, config, seed, zeros)


@pytest.mark.parametrize("name", ["rank_value", "binned", "continuous", "gene_embedding"])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("length", [4, 12, 100])
def test_a_batch_is_its_cells_one_by_one(name, zeros, length):
    config = TokensConfig(tokenizer=name, length=length)
    whole = tokens(config, zeros=zeros)
    for row in (0, 7, 29):
        one = tokens(config, ALL[row : row + 1], zeros=zeros)
        width = one.genes_BT.shape[1]
        assert (whole.genes_BT[row, :width] == one.genes_BT[0]).all() and (whole.genes_BT[row, width:] == -1).all()
        assert (whole.counts_BT[row, :width] == one.counts_BT[0]).all()


def test_of_too_many_genes_ranks_keep_the_top_and_others_a_keyed_draw():
    top = tokens(TokensConfig(length=10))
    assert (top.genes_BT[29] == CELLS.genes[29][:10]).all() and (top.genes_BT[4, 5:] == -1).all()
    drawn = [tokens(TokensConfig(tokenizer="binned", length=10), epoch=e).genes_BT[29] for e in range(40)]
    assert len({tuple(d) for d in drawn}) > 30 and set(np.concatenate(drawn)) == set(CELLS.genes[29])
    places = [np.flatnonzero(CELLS.genes[29] == g)[0] for g in drawn[0]]
    assert places == sorted(places)  # still in rank order


def test_zeros_are_other_genes_in_their_share_and_at_the_end():
    found = tokens(TokensConfig(tokenizer="binned", length=100, zeros=0.5), zeros=True)
    for row in range(30):
        valid = found.genes_BT[row] >= 0
        genes, counts = found.genes_BT[row][valid], found.counts_BT[row][valid]
        expressed = len(CELLS.genes[row])
        assert len(set(genes)) == len(genes) and (counts[:expressed] > 0).all() and (counts[expressed:] == 0).all()
        assert len(genes) - expressed == min(expressed, GENES - expressed)
        assert not set(genes[expressed:]) & set(CELLS.genes[row])


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5])
def test_exactly_as_many_are_hidden_as_asked_for_and_every_gene_as_often(share):
    times = np.zeros((30, 30))
    for epoch in range(200):
        found = tokens(TokensConfig(), epoch=epoch)
        hidden = hide(found, np.full(30, epoch), VOCABULARY, share, 0)
        number = found.valid_BT.sum(1)
        assert (hidden.sum(1) == np.maximum(1, np.round(share * number))).all() and not (hidden & ~found.valid_BT).any()
        times += hidden
    expected = np.maximum(1, np.round(share * 30)) / 30
    assert abs(times[29] / 200 - expected).max() < 0.16


def test_held_out_cells_are_masked_in_one_way_and_training_cells_in_another_every_epoch():
    masks = [hide(tokens(TokensConfig(), epoch=e), np.full(30, e), VOCABULARY, 0.15, 0) for e in (0, 0, 1)]
    assert (masks[0] == masks[1]).all() and (masks[0] != masks[2]).any()
    other = hide(tokens(TokensConfig()), np.zeros(30, int), VOCABULARY, 0.15, 1)
    assert (other != masks[0]).any()


def test_of_the_hidden_eight_in_ten_are_masked_and_no_special_or_pad_is_ever_drawn():
    counts = np.zeros(3)
    for epoch in range(100):
        found, epochs = tokens(TokensConfig(), epoch=epoch), np.full(30, epoch)
        hidden = hide(found, epochs, VOCABULARY, 0.3, 0)
        shown, masked = disguise(found, hidden, epochs, VOCABULARY, ObjectiveConfig(), 0)
        assert not (masked & ~hidden).any() and (shown[~hidden] == found.genes_BT[~hidden]).all()
        assert shown[hidden].min() >= 0 and shown[hidden].max() < GENES
        other = hidden & (shown != found.genes_BT)
        counts += [masked[hidden & ~other].sum(), other.sum(), (hidden & ~masked & ~other).sum()]
    assert np.allclose(counts / counts.sum(), [0.8, 0.1, 0.1], atol=0.02)


def test_a_selection_is_one_of_the_batch_and_keyed():
    config = TokensConfig(selection="most_expressed", selected=8)
    found = tokens(config)
    genes = np.concatenate(CELLS.genes)
    sums = np.bincount(genes, np.concatenate(CELLS.counts), minlength=GENES)
    kept = set(found.genes_BT[found.valid_BT])
    assert len(kept) == 8 and min(sums[list(kept)]) >= max(sums[[g for g in range(GENES) if g not in kept]])
    random = dataclasses.replace(config, selection="random_expressed")
    first, again, later = (
        set(t.genes_BT[t.valid_BT]) for t in (tokens(random), tokens(random), tokens(random, epoch=3))
    )
    assert first == again != later and len(first) == 8


def test_bins_and_totals():
    prepared = Preprocessing(tokens=TokensConfig(), bins=np.array([1.0, 2.0]))
    assert prepared.bin(np.array([0, 1, 2, 3, 4, 5, 8, 9, 128, 129, 9999]), np.zeros(11)).tolist() == [
        0, 1, 2, 3, 3, 4, 4, 5, 8, 9, 9,
    ]  # fmt: skip
    assert prepared.number == 1 + len(COUNT_BINS)
    quantiles = Preprocessing(tokens=TokensConfig(bins="quantiles"), bins=np.array([1.0, 2.0]))
    assert quantiles.bin(np.array([0, 1, 1, 1]), np.array([0.0, 0.5, 1.0, 5.0])).tolist() == [0, 1, 2, 3]
    assert quantiles.number == 4
    assert total_bins(np.array([1, 2, 4, 10**9])).tolist() == [0, 2, 4, 47]


@pytest.mark.parametrize("spread", [64, 17, 2])
def test_the_smallest_of_each_row_are_those_of_a_plain_sort_also_where_bits_are_few(spread):
    draw = np.random.default_rng(0)
    for _ in range(30):
        row = np.sort(draw.integers(0, 9, 60))
        mixed = draw.permutation(60).astype(np.uint64) << np.uint64(max(0, spread - 6))
        most = draw.integers(0, 12, 10)
        kept = smallest(row, mixed, most)
        for r in range(10):
            assert set(mixed[(row == r) & kept]) == set(np.sort(mixed[row == r])[: most[r]])
    assert smallest(np.empty(0, int), np.empty(0, np.uint64), np.ones(3, int)).shape == (0,)
