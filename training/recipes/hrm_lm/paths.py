"""A harder question about mazes: which cells lie on a shortest path from S to a goal? Functions of the data config.

The goal is an ``o`` in the maze, drawn uniformly among the cells that S reaches in at least one step. The answer is
``o`` at every cell that some shortest path goes through, S and the goal too, and ``x`` at the other open ones. The
depth is the number of steps from S to the goal. A flood tells how far the goal is; which cells are on the way is only
known when that has come back to them, so the answer needs up to twice its depth in steps.

Left out are mazes in which S reaches fewer than 3 cells besides those on the way: there "whatever is reached" would be
nearly right.

Shapes: N mazes, R rows = columns, C = R * R cells.
"""

from __future__ import annotations

import numpy as np

from assets_data.lineage import uniform01
from training.recipes.hrm_lm.config import DataConfig
from training.recipes.hrm_lm.flood import DEPTHS, LEAST_UNREACHED, REACHED, START, WALL, FloodRows, draw_all, spread

GOAL = REACHED
"""The goal's letter is that of a marked cell, which it always is; so no id of a letter moves."""


def draw_paths(config: DataConfig, numbers_N: np.ndarray) -> np.ndarray:
    """uint8[<= N, R, R]: those of the numbered mazes that are not left out, with their goals."""
    mazes_NRR = draw_all(config, numbers_N)
    steps_NRR = steps_from(START, mazes_NRR)
    place_N, some_N = _chosen(steps_NRR > 0, uniform01(config.seed, "path/goal", numbers_N))
    mazes_NRR.reshape(len(mazes_NRR), -1)[np.arange(len(mazes_NRR)), place_N] = GOAL
    mazes_NRR, steps_NRR = mazes_NRR[some_N], steps_NRR[some_N]
    marked_NRR, depth_N = path(mazes_NRR)
    others_N = ((steps_NRR >= 0) & ~marked_NRR).sum(axis=(1, 2))
    return mazes_NRR[(others_N >= LEAST_UNREACHED) & np.isin(depth_N, DEPTHS)]


def path(mazes_NRR: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(marked_NRR, depth_N)``: the steps from S and those to the goal add up to the goal's own exactly on the way."""
    from_NRR, to_NRR = steps_from(START, mazes_NRR), steps_from(GOAL, mazes_NRR)
    depth_N = from_NRR[mazes_NRR == GOAL]
    return (from_NRR >= 0) & (from_NRR + to_NRR == depth_N[:, None, None]), depth_N


def steps_from(letter: int, mazes_NRR: np.ndarray) -> np.ndarray:
    """int64[N, R, R]: steps from the cell with this letter, -1 where they do not lead."""
    open_NRR, found_NRR = mazes_NRR != WALL, mazes_NRR == letter
    steps_NRR, steps = np.where(found_NRR, 0, -1), 0
    while (new_NRR := spread(found_NRR, open_NRR) & ~found_NRR).any():
        steps += 1
        steps_NRR[new_NRR] = steps
        found_NRR = found_NRR | new_NRR
    return steps_NRR


def _chosen(among_NRR: np.ndarray, draw_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(place_N, some_N)``: a cell among those that are true, each as likely, and whether there is one."""
    rank_NC = np.cumsum(among_NRR.reshape(len(among_NRR), -1), axis=1)
    wanted_N = 1 + (draw_N * rank_NC[:, -1]).astype(np.int64)
    return (rank_NC >= wanted_N[:, None]).argmax(axis=1), rank_NC[:, -1] > 0


class PathRows(FloodRows):
    """Mazes with a goal."""

    goals, draw, marks = 1, staticmethod(draw_paths), staticmethod(path)


MAZES: dict[str, type[FloodRows]] = {"reached": FloodRows, "path": PathRows}
"""The rows of each ``data.marks``."""
