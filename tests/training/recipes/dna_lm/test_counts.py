"""Masks are keyed and exact in their shares; counts are those of counting; the model sees no base that is asked for."""

import numpy as np
import pytest
import torch

from assets_data.domains.genome.read import Windows
from training.recipes.dna_lm.config import GateConfig, MaskConfig, ModelConfig
from training.recipes.dna_lm.counts import WEIGHT, every_base, nll
from training.recipes.dna_lm.data import masked
from training.recipes.dna_lm.inspection import asked_bases
from training.recipes.dna_lm.model import MASK, DnaEncoder, base_nll


def made(rows=50, width=96, seed=0):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (rows, width)).astype(np.uint8)
    keys = random.integers(0, 1 << 62, rows).astype(np.uint64)
    return Windows(row_keys=keys, codes_RW=codes, place_R=np.arange(rows) * width)


def test_masks_depend_on_seed_epoch_and_row_alone():
    data, rows, zero = made(), np.arange(50), np.zeros(50, np.int64)
    shown, labels = masked(data, MaskConfig(), 3, rows, zero, MASK)
    again = masked(data, MaskConfig(), 3, rows[::-1], zero, MASK)
    assert np.array_equal(again[0][::-1], shown) and np.array_equal(again[1][::-1], labels)
    assert not np.array_equal(masked(data, MaskConfig(), 3, rows, zero + 1, MASK)[1], labels)
    assert not np.array_equal(masked(data, MaskConfig(), 4, rows, zero, MASK)[1], labels)
    mixed = masked(data, MaskConfig(), 3, rows, rows % 2, MASK)[1]
    assert np.array_equal(mixed[::2], labels[::2]) and not np.array_equal(mixed[1::2], labels[1::2])


def test_shares_of_what_is_asked_hidden_and_random():
    data = made(400)
    shown, labels = masked(data, MaskConfig(), 0, np.arange(400), np.zeros(400, np.int64), MASK)
    asked = labels >= 0
    assert asked.mean() == pytest.approx(0.15, abs=0.01)
    assert np.array_equal(labels[asked], data.codes_RW[asked]) and np.array_equal(shown[~asked], data.codes_RW[~asked])
    assert (shown[asked] == MASK).mean() == pytest.approx(0.8, abs=0.02)
    assert ((shown != data.codes_RW) & (shown != MASK))[asked].mean() == pytest.approx(0.075, abs=0.015)


def test_counts_are_those_of_counting():
    train, asked = every_base(made(30, 20).codes_RW, 2), every_base(made(5, 20, 1).codes_RW, 2)
    found = nll(train, asked, 1, 1)
    codes = train.codes
    for item in range(0, len(found), 7):
        row, place = asked.row[item], asked.place[item]
        left, base, right = asked.codes[row, place - 1 : place + 2]
        counts, shorter, single = np.zeros(4), np.zeros(4), np.ones(4)
        for r in range(30):
            for p in range(2, 18):
                single[codes[r, p]] += 1
                if codes[r, p + 1] == right:
                    shorter[codes[r, p]] += 1
                    counts[codes[r, p]] += codes[r, p - 1] == left
        below = (shorter + WEIGHT * single / single.sum()) / (shorter.sum() + WEIGHT)
        assert np.exp(-found[item]) == pytest.approx(((counts + WEIGHT * below) / (counts.sum() + WEIGHT))[base])


def test_a_base_that_is_asked_for_is_not_shown():
    torch.manual_seed(0)
    model, codes = DnaEncoder(ModelConfig(d_model=8)).eval(), torch.randint(0, 4, (4, 40))
    asked = torch.zeros(4, 40, dtype=torch.bool)
    asked[:, 20] = True
    first = base_nll(model, codes, asked)
    codes[:, 20] = (codes[:, 20] + 1) % 4
    logits = model(codes.masked_fill(asked, MASK))[asked]
    assert not torch.allclose(first, base_nll(model, codes, asked))
    assert torch.allclose(logits.softmax(-1).sum(-1), torch.ones(4))
    total = torch.zeros(4)
    for base in range(4):
        codes[:, 20] = base
        total += (-base_nll(model, codes, asked)).exp()
    assert torch.allclose(total, torch.ones(4), atol=1e-5), "the same distribution whatever stands there"


def test_asked_bases_lie_apart_and_have_their_neighbours():
    data = made()
    asked = asked_bases(data.codes_RW, data.row_keys, GateConfig())
    for row in range(50):
        places = np.sort(asked.place[asked.row == row])
        assert (np.diff(places) == 12).all() and places[0] >= 3 and places[-1] < 93 and len(places) >= 7
