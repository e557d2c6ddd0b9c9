"""Mazes against an independent search, the splits, and what a guess or a flood that stops early would score."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from assets_data.lineage import ConfigError
from training.recipes.hrm_lm.config import DataConfig
from training.recipes.hrm_lm.flood import (
    BLOCK,
    DEPTHS,
    LETTERS,
    OPEN,
    REACHED,
    START,
    UNREACHED,
    WALL,
    FloodRows,
    decode_maze,
    draw,
    draw_answer,
    flood,
    flood_splits,
    read_maze,
)
from training.tokens.rows import IGNORED

FEW = DataConfig(source="flood", mazes=500, judged_mazes=20)


@pytest.fixture(scope="module")
def splits():
    return flood_splits(FEW)


def neighbours(maze, cell):
    """The open cells next to this one."""
    for row, column in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        near = cell[0] + row, cell[1] + column
        if 0 <= near[0] < len(maze) and 0 <= near[1] < len(maze) and maze[near] != WALL:
            yield near


def search(maze):
    """Distances from S by a queue over cells."""
    start = tuple(np.argwhere(maze == START)[0].tolist())
    found, queue = {start: 0}, deque([start])
    while queue:
        cell = queue.popleft()
        for near in neighbours(maze, cell):
            if near not in found:
                found[near] = found[cell] + 1
                queue.append(near)
    return found


def pieces(maze):
    """The set of cells connected to S by union-find over neighbouring open cells."""
    parent = {tuple(cell): tuple(cell) for cell in np.argwhere(maze != WALL).tolist()}

    def root(cell):
        while parent[cell] != cell:
            cell = parent[cell]
        return cell

    for row, column in list(parent):
        for near in ((row + 1, column), (row, column + 1)):
            if near in parent:
                parent[root(near)] = root((row, column))
    start = root(tuple(np.argwhere(maze == START)[0].tolist()))
    return {cell for cell in parent if root(cell) == start}


@pytest.mark.parametrize("size", [4, 5, 8])
def test_labels_and_depth_are_those_of_a_search_and_of_union_find(size):
    rows = FloodRows(draw(replace(FEW, size=size), np.arange(2_500, dtype=np.uint64)))
    assert len(rows) >= 300
    for maze, reached, depth in zip(rows.mazes_NRR[:1000], rows.marked_NRR, rows.depth_N, strict=False):
        distances = search(maze)
        cells = {tuple(cell) for cell in np.argwhere(reached).tolist()}
        assert cells == set(distances) == pieces(maze) and depth == max(distances.values())
        assert int(((maze != WALL) & ~reached).sum()) >= 3


def test_neither_the_all_reached_guess_nor_a_flood_that_stops_early_solves_one_maze(splits):
    for rows in splits.values():
        open_NRR = rows.mazes_NRR != WALL
        assert not (open_NRR == rows.marked_NRR).all(axis=(1, 2)).any()
        for steps in range(max(DEPTHS)):
            early_NRR, _ = flood(rows.mazes_NRR, steps)
            solved_N = (early_NRR == rows.marked_NRR).all(axis=(1, 2))
            assert np.array_equal(solved_N, rows.depth_N <= steps)


def assert_apart(splits):
    """No maze nor a mirror image of it is in two splits, and none is twice in one."""
    images = {}
    for split, rows in splits.items():
        assert (
            len(np.unique(rows.mazes_NRR.reshape(len(rows), -1), axis=0))
            == len(rows)
            == len(set(rows.row_keys.tolist()))
        )
        images[split] = set()
        for maze in rows.mazes_NRR:
            for turned in (maze, maze.T):
                images[split] |= {np.rot90(turned, turns).tobytes() for turns in range(4)}
    for split, rows in splits.items():
        own = {maze.tobytes() for maze in rows.mazes_NRR}
        assert all(not own & images[other] for other in splits if other != split)


def test_no_maze_nor_mirror_image_of_it_is_in_two_splits_and_none_is_there_twice(splits):
    assert_apart(splits)


def test_every_split_has_the_depths_it_should(splits):
    counts = {split: np.bincount(rows.depth_N, minlength=11).tolist() for split, rows in splits.items()}
    assert counts == {"train": [0] + [100] * 5 + [0] * 5, "validation": [0] + [4] * 10, "test": [0] + [20] * 10}


def test_a_maze_depends_on_its_number_alone_and_more_of_them_change_none(splits):
    some = np.array([7, 123, BLOCK + 1], np.uint64)
    apart = [draw(FEW, some[place : place + 1]) for place in range(3)]
    assert np.array_equal(np.concatenate(apart), draw(FEW, some))
    more = flood_splits(replace(FEW, mazes=1_000))["train"]
    assert set(splits["train"].row_keys.tolist()) < set(more.row_keys.tolist())
    assert not set(flood_splits(replace(FEW, seed=1))["train"].row_keys.tolist()) & set(more.row_keys.tolist())


def test_a_row_asks_at_every_place_and_judges_open_cells_only(splits):
    rows = splits["test"]
    row = rows[5]
    text = decode_maze(row.encoder_ids.tolist())
    assert text.count("\n") == 5 and np.array_equal(read_maze(text), rows.mazes_NRR[5])
    assert decode_maze(row.decoder_input_ids.tolist()) == "?" * 30
    for letter, label in zip(text, row.labels[1:].tolist(), strict=True):
        assert (label == IGNORED) == (letter in "#\n") and label in (IGNORED, REACHED, UNREACHED)
    assert row.labels[0] == IGNORED
    right = draw_answer(rows.mazes_NRR[5], row.labels.tolist())
    assert [a for a, b in zip(right, text, strict=True) if b in "#S\n"] == [b for b in text if b in "#S\n"]
    assert right.count("o") + right.count("x") == int((rows.mazes_NRR[5] == OPEN).sum())


@pytest.mark.parametrize(
    "text",
    ["", "S", "S..\n...", "...\n...\n...", "S..\n..S\n...", "S..\n.a.\n...", "S...\n...\n...", "S..\n...\n...\n\n"],
)
def test_what_is_no_maze_is_said(text):
    if text in ("S", "S..\n...\n...\n\n"):
        assert len(read_maze(text)) in (1, 3)
        return
    with pytest.raises(ConfigError, match="no maze") as caught:
        read_maze(text)
    assert caught.value.code == "FLOOD_MAZE"


def test_letters_have_one_id_each():
    assert len(set(LETTERS)) == len(LETTERS) == 7 and decode_maze([0, 1, 2, *range(3, 10), IGNORED]) == LETTERS
