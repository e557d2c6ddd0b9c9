"""Mazes with a goal against all shortest paths written out, the splits, what guesses would score, and typed mazes."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from assets_data.lineage import ConfigError, uniform01
from tests.training.recipes.hrm_lm.test_flood import FEW, assert_apart, neighbours, search
from tests.training.recipes.hrm_lm.test_token_core import configured, made
from training.generation import Sampling, decode_bytes, encode_bytes
from training.recipes.hrm_lm.answers import answer_maze, measure_flood
from training.recipes.hrm_lm.config import DataConfig
from training.recipes.hrm_lm.flood import (
    DEPTHS,
    START,
    WALL,
    FloodRows,
    decode_maze,
    draw_all,
    flood,
    flood_splits,
    read_maze,
    triple,
)
from training.recipes.hrm_lm.paths import GOAL, PathRows, draw_paths, path

PATHS = replace(FEW, marks="path", judged_mazes=10)
MAZE = "S..#.\n.#.#.\n..o..\n.####\n.....\n"


@pytest.fixture(scope="module")
def splits():
    return flood_splits(PATHS, PathRows)


@pytest.fixture(scope="module")
def large():
    """1,000 mazes and more of 9 by 9, of all depths."""
    return PathRows.drawn(replace(PATHS, size=9), np.arange(2_500, dtype=np.uint64))


def shortest_paths(maze):
    """Every shortest path from S to the goal: all ways to cells that are new are prolonged by one step at a time."""
    start, goal = (tuple(np.argwhere(maze == letter)[0].tolist()) for letter in (START, GOAL))
    ways, seen = {start: [[start]]}, {start}
    while goal not in ways:
        longer = {}
        for cell, found in ways.items():
            for near in neighbours(maze, cell):
                if near not in seen:
                    longer.setdefault(near, []).extend([*way, near] for way in found)
        ways, seen = longer, seen | set(longer)
    return ways[goal]


@pytest.mark.parametrize("size", [5, 9])
def test_marks_are_the_cells_of_all_shortest_paths_and_depth_their_steps(size):
    rows = PathRows.drawn(replace(PATHS, size=size), np.arange(2_500, dtype=np.uint64))
    assert len(rows) >= 1_000 and set(rows.depth_N.tolist()) <= set(DEPTHS)
    several = 0
    for maze, marked, depth in zip(rows.mazes_NRR[:1000], rows.marked_NRR, rows.depth_N, strict=False):
        ways = shortest_paths(maze)
        cells = {tuple(cell) for cell in np.argwhere(marked).tolist()}
        assert cells == set().union(*ways) and {len(way) for way in ways} == {depth + 1}
        assert len(set(search(maze)) - cells) >= 3
        several += len(ways) > 1
    assert several > 250, "a single path alone would be another question"


def test_the_goal_is_one_of_the_cells_that_are_reached_each_as_likely():
    config, kept = replace(PATHS, size=9), 0
    for number in np.arange(400, dtype=np.uint64)[:, None]:
        (maze,) = draw_all(config, number)
        cells = sorted(cell for cell, steps in search(maze).items() if steps)
        place = int(uniform01(config.seed, "path/goal", number)[0] * len(cells))
        for found in draw_paths(config, number):
            assert [tuple(cell) for cell in np.argwhere(found == GOAL).tolist()] == [cells[place]]
            assert np.array_equal(np.where(found == GOAL, maze, found), maze)
            kept += 1
    assert kept > 200


def test_no_maze_nor_mirror_image_of_it_is_in_two_splits_and_every_split_has_its_depths(splits):
    assert_apart(splits)
    counts = {split: np.bincount(rows.depth_N, minlength=11).tolist() for split, rows in splits.items()}
    assert counts == {"train": [0] + [100] * 5 + [0] * 5, "validation": [0] + [2] * 10, "test": [0] + [10] * 10}


def test_a_maze_depends_on_its_number_alone_and_more_of_them_change_none(splits):
    some = np.array([123, 7, 60_001], np.uint64)
    apart = [draw_paths(PATHS, some[place : place + 1]) for place in range(3)]
    assert sum(map(len, apart)) >= 2 and np.array_equal(np.concatenate(apart), draw_paths(PATHS, some))
    more = flood_splits(replace(PATHS, mazes=1_000), PathRows)["train"]
    assert set(splits["train"].row_keys.tolist()) < set(more.row_keys.tolist())
    other = PathRows.drawn(replace(PATHS, seed=1), np.arange(2_000, dtype=np.uint64))
    assert not set(other.row_keys.tolist()) & set(more.row_keys.tolist())


def box(mazes_NRR):
    """What looks straight: the open cells of the rectangle that S and the goal span."""
    row_RR, column_RR = np.mgrid[: mazes_NRR.shape[1], : mazes_NRR.shape[2]]
    inside_NRR = mazes_NRR != WALL
    for place_RR in (row_RR, column_RR):
        ends = [((mazes_NRR == letter) * place_RR).sum(axis=(1, 2))[:, None, None] for letter in (START, GOAL)]
        inside_NRR = inside_NRR & (place_RR >= np.minimum(*ends)) & (place_RR <= np.maximum(*ends))
    return inside_NRR


def test_what_trivial_answers_would_score(large):
    """Nothing, all that is open and all that is reached: no maze. S and the goal alone: depth 1, where that is all."""
    ends_NRR = np.isin(large.mazes_NRR, (START, GOAL))

    def solved(answer_NRR):
        return (answer_NRR == large.marked_NRR).all(axis=(1, 2))

    assert not solved(np.zeros_like(ends_NRR)).any() and not solved(large.mazes_NRR != WALL).any()
    assert not solved(flood(large.mazes_NRR)[0]).any()
    assert np.array_equal(solved(ends_NRR), large.depth_N == 1)
    straight_N, deep_N = solved(box(large.mazes_NRR)), large.depth_N > 5
    assert straight_N[large.depth_N <= 2].all() and 0.3 < straight_N[large.depth_N == 4].mean() < 0.6
    assert deep_N.sum() > 400 and straight_N[deep_N].mean() < 0.07


def test_the_rows_of_the_preset_flood_are_those_there_were_before_mazes_had_goals():
    digest = hashlib.sha256()
    for rows in flood_splits(FEW).values():
        digest.update(rows.row_keys.tobytes())
        for row in range(len(rows)):
            for ids in rows[row]:
                digest.update(ids.tobytes())
    assert digest.hexdigest() == "8e20613e8a34a8d0e4471e1d77bed32d5a98fbdf5f715c1a5a2092ca573a6c84"
    assert DataConfig().marks == "reached"


def test_a_typed_goal_is_read_only_where_one_is_asked_for():
    maze = read_maze(MAZE, goals=1)
    marked, depth = path(maze[None])
    right = triple(maze, marked[0])
    assert decode_maze(right.encoder_ids.tolist()) == MAZE and depth.tolist() == [4]
    assert decode_maze(right.labels.tolist()) == "ooox" + "oox" + "oooxx" + "x" + "xxxxx"
    for text, goals in ((MAZE, 0), (MAZE.replace("o", "."), 1), (MAZE.replace("#.\n", "#o\n", 1), 1)):
        with pytest.raises(ConfigError, match="no maze") as caught:
            read_maze(text, goals)
        assert caught.value.code == "FLOOD_MAZE" and f"o {text.count('o')} times" in str(caught.value)
        assert ("one o, the goal" in str(caught.value)) == bool(goals)


@pytest.mark.parametrize("marks", ["path", "reached"])
def test_the_recipe_answers_typed_mazes_of_the_kind_it_was_trained_on(recipe, triples_store, manifest, marks):
    prompt, other = (MAZE, ".") if marks == "path" else (MAZE.replace("o", "."), "o")
    config = configured(**{"data.marks": marks})
    data = recipe.open_data(triples_store, {"manifest": manifest}, config)
    assert type(data.test) is (PathRows if marks == "path" else FloodRows)
    inputs, model = recipe.model_inputs(data, config), made().eval()
    assert ("goals" in inputs) == (marks == "path")
    (answer,) = recipe.write(model, inputs, [encode_bytes(prompt)], Sampling(max_new_tokens=1))
    assert decode_bytes(answer) == answer_maze(model, prompt, int(marks == "path"))[0]
    pairs = zip(decode_bytes(answer), prompt, strict=True)
    assert all(mark in "ox" if letter == "." else mark == letter for mark, letter in pairs)
    assert recipe.remarks(model, inputs, encode_bytes(prompt)) == {"segments": 3}
    wrong = encode_bytes(prompt[:14] + other + prompt[15:])
    for call in (lambda: recipe.write(model, inputs, [wrong], Sampling(max_new_tokens=1)),
                 lambda: recipe.remarks(model, inputs, wrong)):  # fmt: skip
        with pytest.raises(ConfigError, match="FLOOD_MAZE"):
            call()


def test_a_gate_judges_mazes_with_a_goal_and_shows_some(splits):
    rows = splits["test"]
    found = measure_flood(made().eval(), rows, configured(**{"data.marks": "path"}), np.arange(len(rows)))
    assert {one.name for one in found.measurements} == {"near", "deep", "deep_gain"}
    for shown in found.tables["mazes"]:
        maze = read_maze(shown["maze"], goals=1)
        assert shown["right"].count("o") == path(maze[None])[0].sum() - 1, "S keeps its letter"


def test_a_reach_is_refused_where_a_path_is_asked_for(recipe):
    """How far S is from a cell does not say when it can be known whether a shortest path goes through it."""
    paths, reach = {"data.marks": "path"}, {"model.core.reach": 2}
    assert list(recipe.check(configured(**reach))) == list(recipe.check(configured(**paths))) == []
    (found,) = recipe.check(configured(**paths, **reach))
    assert (found.code, found.path) == ("HRM_LM_CORE", "model.core.reach")
