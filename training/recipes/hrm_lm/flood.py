"""Text mazes: which open cells can be reached from S? Made up, with the exact answer; functions of the data config.

A maze is ``size`` rows of ``#`` wall, ``.`` open and one ``S``, each ended by a newline; a step goes to one of four
neighbours. Its answer has the same shape: ``o`` at open cells that S reaches, ``x`` at those it does not. Its depth is
the largest distance from S, which is how many steps of a flood the answer needs. Trained on are depths 1 to 5; depths 6
to 10 are only ever judged.

Left out are mazes with fewer than 3 open cells that S does not reach: there "everything is reached" would be nearly
right without any flood. A maze and its mirror images (rotations too) are always in the same split.

Shapes: N mazes, R rows = columns, P = R * (R + 1) places of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from assets_data.domains.text.read import SPLITS, Triple
from assets_data.lineage import ConfigError, mix64, uniform01
from training.generation import BOS, EOS, PAD
from training.recipes.hrm_lm.config import DataConfig
from training.tokens.rows import IGNORED

LETTERS = "#.S\nox?"  # o before x: the two labels are neighbours
WALL, OPEN, START, NEWLINE, REACHED, UNREACHED, ASKED = (EOS + 1 + place for place in range(len(LETTERS)))
VOCABULARY = EOS + 1 + len(LETTERS)
"""Ids of the letters follow bos, eos and padding. A head over all 256 bytes learns this task far worse."""
TRAINED_DEPTHS, DEPTHS = range(1, 6), range(1, 11)
LEAST_UNREACHED = 3
BLOCK = 50_000
"""Mazes drawn at a time: 2 MB of cells of 5 by 5."""
MOST_BLOCKS = 100


class FloodRows:
    """Mazes as triples, with their depths. Two mazes are equal exactly when their row keys are.

    Another question is a subclass: how mazes are drawn, which cells are marked, how many ``goals`` they have.
    """

    pad, goals = PAD, 0

    def __init__(self, mazes_NRR: np.ndarray) -> None:
        self.mazes_NRR = mazes_NRR
        self.marked_NRR, self.depth_N = self.marks(mazes_NRR)
        self.row_keys = maze_keys(mazes_NRR)

    @classmethod
    def drawn(cls, config: DataConfig, numbers_N: np.ndarray) -> FloodRows:
        """Those of the numbered mazes that are not left out."""
        return cls(cls.draw(config, numbers_N))

    @staticmethod
    def draw(config: DataConfig, numbers_N: np.ndarray) -> np.ndarray:
        """uint8[<= N, R, R]: their cells."""
        return draw(config, numbers_N)

    @staticmethod
    def marks(mazes_NRR: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(marked_NRR, depth_N)``: cells whose label is ``o``, and the steps that this answer needs."""
        return flood(mazes_NRR)

    def __len__(self) -> int:
        return len(self.mazes_NRR)

    def __getitem__(self, row: int) -> Triple:
        """The maze, and at every place the same question mark, answered all at once; walls are not judged."""
        return triple(self.mazes_NRR[row], self.marked_NRR[row])


def triple(maze_RR: np.ndarray, marked_RR: np.ndarray) -> Triple:
    """``bos maze``, ``bos ? ? ...`` and the labels: a letter's id per open cell, -100 at bos, walls and newlines."""
    encoder_S = encoded(maze_RR)
    labels_RR = np.where(maze_RR == WALL, IGNORED, np.where(marked_RR, REACHED, UNREACHED))
    labels_T = np.concatenate(([IGNORED], written(labels_RR, end=IGNORED)))
    return Triple(encoder_S, asked(len(encoder_S) - 1), labels_T)


def encoded(maze_RR: np.ndarray) -> np.ndarray:
    """int64[1 + P]: what the encoder reads."""
    return np.concatenate(([BOS], written(maze_RR)))


def asked(places: int) -> np.ndarray:
    """int64[1 + places]: what the decoder reads: it sees no answer, so all cells are answered independently."""
    return np.array([BOS] + [ASKED] * places)


def written(cells_RR: np.ndarray, end: int = NEWLINE) -> np.ndarray:
    """int64[P]: rows one after the other, each with ``end`` after it."""
    return np.pad(cells_RR.astype(np.int64), ((0, 0), (0, 1)), constant_values=end).ravel()


def decode_maze(ids: Iterable[int]) -> str:
    """The letters of these ids, without specials and what is not judged."""
    return "".join(LETTERS[i - EOS - 1] for i in ids if i > EOS)


def flood_splits(config: DataConfig, kind: type[FloodRows] = FloodRows) -> dict[str, FloodRows]:
    """The rows of every split: as many of each depth as the config says, or as many as ``MOST_BLOCKS`` blocks hold.

    Maze i is a function of (seed, i) alone, and what is taken are the first of each depth, so asking for more mazes
    changes none of those there were. No maze is taken twice.
    """
    wanted = {split: {depth: _quota(config, split, depth) for depth in DEPTHS} for split in SPLITS}
    taken: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    seen_N = np.empty(0, np.uint64)
    for block in range(MOST_BLOCKS):
        rows = kind.drawn(config, np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.uint64))
        new_N = np.zeros(len(rows), bool)
        new_N[np.unique(rows.row_keys, return_index=True)[1]] = True
        new_N &= ~np.isin(rows.row_keys, seen_N)
        seen_N = np.union1d(seen_N, rows.row_keys)
        split_N = split_of(rows, config)
        for place, split in enumerate(SPLITS):
            candidates = np.flatnonzero(new_N & (split_N == place))
            taken[split].append(rows.mazes_NRR[_take(candidates, rows.depth_N, wanted[split])])
        if not any(sum(depths.values()) for depths in wanted.values()):
            break
    return {split: kind(np.concatenate(mazes)) for split, mazes in taken.items()}


def draw(config: DataConfig, numbers_N: np.ndarray) -> np.ndarray:
    """uint8[<= N, R, R]: those of the numbered mazes that are not left out."""
    mazes_NRR = draw_all(config, numbers_N)
    reached_NRR, depth_N = flood(mazes_NRR)
    unreached_N = ((mazes_NRR != WALL) & ~reached_NRR).sum(axis=(1, 2))
    return mazes_NRR[(unreached_N >= LEAST_UNREACHED) & np.isin(depth_N, DEPTHS)]


def draw_all(config: DataConfig, numbers_N: np.ndarray) -> np.ndarray:
    """uint8[N, R, R]: the share of walls is uniform in [.3, .5] per maze, and S uniform over the cells."""
    size, seed = config.size, config.seed
    wall_rate_N1 = 0.3 + 0.2 * uniform01(seed, "flood/walls", numbers_N)[:, None]
    cells_NC = np.stack([uniform01(seed, f"flood/cell/{cell}", numbers_N) for cell in range(size * size)], axis=1)
    mazes_NC = np.where(cells_NC < wall_rate_N1, WALL, OPEN).astype(np.uint8)
    start_N = (uniform01(seed, "flood/start", numbers_N) * size * size).astype(np.int64)
    mazes_NC[np.arange(len(numbers_N)), start_N] = START
    return mazes_NC.reshape(-1, size, size)


def flood(mazes_NRR: np.ndarray, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """``(reached_NRR, depth_N)``: cells within ``steps`` steps of S (None: any number), and how many found some."""
    open_NRR, reached_NRR = mazes_NRR != WALL, mazes_NRR == START
    depth_N = np.zeros(len(mazes_NRR), np.int64)
    while steps is None or steps > 0:
        wider_NRR = spread(reached_NRR, open_NRR)
        grew_N = (wider_NRR != reached_NRR).any(axis=(1, 2))
        if not grew_N.any():
            break
        depth_N += grew_N
        reached_NRR, steps = wider_NRR, None if steps is None else steps - 1
    return reached_NRR, depth_N


def spread(found_NRR: np.ndarray, open_NRR: np.ndarray) -> np.ndarray:
    """bool[N, R, R]: the cells found and their open neighbours."""
    wider_NRR = found_NRR.copy()
    wider_NRR[:, 1:] |= found_NRR[:, :-1]
    wider_NRR[:, :-1] |= found_NRR[:, 1:]
    wider_NRR[:, :, 1:] |= found_NRR[:, :, :-1]
    wider_NRR[:, :, :-1] |= found_NRR[:, :, 1:]
    return wider_NRR & open_NRR


def mirror_class(mazes_NRR: np.ndarray) -> np.ndarray:
    """uint64[N]: the least key among a maze's 8 mirror images and rotations, so all of them have the same one."""
    turned = [np.rot90(mazes_NRR, turns, axes=(1, 2)) for turns in range(4)]
    return np.min([maze_keys(image) for image in (*turned, *(image[:, :, ::-1] for image in turned))], axis=0)


def maze_keys(mazes_NRR: np.ndarray) -> np.ndarray:
    """uint64[N]: a chained mix of the cells; one in 2^64 for two different mazes to have the same."""
    key_N = np.zeros(len(mazes_NRR), np.uint64)
    for cell_N in mazes_NRR.reshape(len(mazes_NRR), -1).T:
        key_N = mix64(0, "flood/key", key_N ^ cell_N.astype(np.uint64))
    return key_N


def split_of(rows: FloodRows, config: DataConfig) -> np.ndarray:
    """int64[N], a place in SPLITS: by the mirror class; what is deeper than trained on is never in train."""
    draw_N = uniform01(config.seed, "flood/split", mirror_class(rows.mazes_NRR))
    held_N = np.where(rows.depth_N > max(TRAINED_DEPTHS), 0.5, config.heldout_share)
    return np.select([draw_N < held_N, draw_N < 2 * held_N], [2, 1], default=0)


def read_maze(text: str, goals: int = 0) -> np.ndarray:
    """uint8[R, R] of a maze that somebody typed, with so many goals ``o``. Raises ConfigError FLOOD_MAZE saying what is
    not as it should be.
    """
    rows, counts = text.strip("\n").split("\n"), {"S": 1, "o": goals}
    sides, others = sorted({len(rows), *map(len, rows)}), sorted(set("".join(rows)) - set("#.So"))
    if len(sides) > 1 or others or any(text.count(letter) != count for letter, count in counts.items()):
        times = ", ".join(f"{letter} {text.count(letter)} times" for letter in counts)
        expected = "a square of '#', '.' and one S" + (" and one o, the goal" if goals else "")
        found = f"{len(rows)} rows, sides of {sides}, {times}, other letters {others}"
        raise ConfigError("FLOOD_MAZE", "the prompt is no maze", expected=expected, found=found)
    return np.array([[EOS + 1 + LETTERS.index(letter) for letter in row] for row in rows], np.uint8)


def draw_answer(maze_RR: np.ndarray, labels_T: Sequence[int]) -> str:
    """The maze with its open cells answered, as text; S, walls and line ends stay."""
    places = zip(written(maze_RR).tolist(), labels_T[1:], strict=True)
    return decode_maze(label if cell == OPEN else cell for cell, label in places)


def _take(candidates: np.ndarray, depth_N: np.ndarray, quota: dict[int, int]) -> np.ndarray:
    """The first candidates of each depth while its quota lasts, in their order; what is taken is subtracted."""
    taken = []
    for depth in quota:
        chosen = candidates[depth_N[candidates] == depth][: quota[depth]]
        quota[depth] -= len(chosen)
        taken.append(chosen)
    return np.sort(np.concatenate(taken))


def _quota(config: DataConfig, split: str, depth: int) -> int:
    if split == "train":
        return config.mazes // len(TRAINED_DEPTHS) if depth in TRAINED_DEPTHS else 0
    return config.judged_mazes if split == "test" else config.judged_mazes // 5
