"""What a segment is judged on: distances against a search, and which labels give a gradient."""

import numpy as np
import pytest
import torch

from tests.training.recipes.hrm_lm.test_flood import search
from tests.training.recipes.hrm_lm.test_token_core import configured, made
from training.recipes.hrm_lm.config import DataConfig
from training.recipes.hrm_lm.flood import FloodRows, draw
from training.recipes.hrm_lm.losses import losses
from training.recipes.hrm_lm.reach import distances, judged
from training.tokens.rows import IGNORED, pad_batch


@pytest.fixture(scope="module")
def mazes():
    return FloodRows(draw(DataConfig(source="flood"), np.arange(2_000, dtype=np.uint64)))


def test_distances_are_those_of_a_search(mazes):
    found = distances(pad_batch(mazes, np.arange(200))["encoder_ids"])
    for maze, row in zip(mazes.mazes_NRR[:200], found, strict=True):
        steps = search(maze)
        cells = row[1:].view(5, 6)[:, :5]
        for cell in np.ndindex(5, 5):
            assert int(cells[cell]) == steps.get(cell, 25)
        assert int(row[0]) == 25 and (row[1:].view(5, 6)[:, 5] == 25).all()


def test_the_longest_corridor_is_walked_to_its_end():
    maze = "S....\n####.\n.....\n.####\n....#\n"
    ids = torch.tensor([[0, *(3 + "#.S\n".index(letter) for letter in maze)]])
    assert distances(ids)[0, 1:].view(5, 6)[4, 3] == 15


@pytest.mark.parametrize("steps", [0, 2, 5])
def test_far_cells_are_left_out_and_near_and_unreachable_ones_stay(mazes, steps):
    deep = np.flatnonzero(mazes.depth_N > 5)[:30]
    batch = pad_batch(mazes, deep)
    distance = distances(batch["encoder_ids"])
    found, labels = judged(batch["labels"], distance, steps), batch["labels"]
    reached = (distance < 25) & (labels != IGNORED)
    assert torch.equal(found == IGNORED, (labels == IGNORED) | (reached & (distance > steps)))
    assert torch.equal(found[found != IGNORED], labels[found != IGNORED])
    assert (found[~reached & (labels != IGNORED)] != IGNORED).all() and bool((reached & (distance > steps)).any())


def test_a_batch_cut_up_and_weighted_by_its_labels_has_the_loss_and_gradient_of_the_whole(mazes):
    config, model = configured(**{"model.core.reach": 1}), made().train()
    rows = np.concatenate([np.flatnonzero(mazes.depth_N == 2)[:3], np.flatnonzero(mazes.depth_N > 6)[:5]])
    parts = [pad_batch(mazes, rows[:3]), pad_batch(mazes, rows[3:])]
    items = [int((part["labels"] != IGNORED).sum()) for part in parts]
    names = ("loss", "earlier_loss")

    def judge(batch):
        found = losses(model, config, batch)
        gradient = torch.autograd.grad(found["loss"], model.head.weight)[0]
        return torch.cat([torch.stack([found[name].detach() for name in names]), gradient.ravel()])

    cut = sum(count * judge(part) for count, part in zip(items, parts, strict=True)) / sum(items)
    assert torch.allclose(cut, judge(pad_batch(mazes, rows)), atol=1e-6)


def test_in_training_a_segment_answers_for_its_reach_alone_and_in_use_for_all(mazes):
    config = configured(**{"model.core.reach": 2})
    batch = pad_batch(mazes, np.flatnonzero(mazes.depth_N > 5)[:8])
    distance, labels = distances(batch["encoder_ids"]), batch["labels"]
    beyond_last = (distance > 4) & (distance < 25)
    between = (distance > 2) & (distance <= 4)
    for mode, places, counts in (("train", beyond_last, False), ("train", between, True), ("eval", beyond_last, True)):
        changed = {**batch, "labels": torch.where(places & (labels != IGNORED), labels + 1, labels)}
        assert bool((changed["labels"] != labels).any())
        model = getattr(made(), mode)()
        both = [losses(model, config, one) for one in (batch, changed)]
        assert (both[0]["loss"] != both[1]["loss"]) == counts
        if mode == "train":
            assert both[0]["earlier_loss"] == both[1]["earlier_loss"], "the first of two segments goes 2 steps"
