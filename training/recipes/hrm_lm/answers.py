"""What a model answers to mazes, after each segment of its core; how many are right to the last cell, by depth.

The registered rows are all test mazes; a deep gain says whether more segments than in training solve what fewer do not.

Shapes: B batch, T decoder places, N mazes, G segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.findings import Evaluation, Measurement
from training.recipes.hrm_lm.config import HrmLmConfig
from training.recipes.hrm_lm.flood import (
    DEPTHS,
    REACHED,
    TRAINED_DEPTHS,
    UNREACHED,
    FloodRows,
    asked,
    decode_maze,
    draw_answer,
    encoded,
    read_maze,
)
from training.recipes.hrm_lm.model import HrmLm, Memory
from training.tokens.evaluate import BATCH
from training.tokens.rows import IGNORED, pad_batch

LEAST_MAZES = 100
"""Mazes per depth under which nothing is claimed of it: a Wilson interval is then wider than .2."""
SEGMENTS_SHOWN = 8
SHOWN = 4


@torch.no_grad()
def answers(model: HrmLm, encoder_ids_BS: Tensor, mask_BS: Tensor, decoder_ids_BT: Tensor, most: int) -> list[Tensor]:
    """The likelier of the two labels at every place (int64 BT) after each of ``most`` segments; after the only pass
    where no core reads tokens.
    """
    return [
        REACHED + model.head(model.decode(decoder_ids_BT, memory))[..., REACHED : UNREACHED + 1].argmax(dim=-1)
        for memory in _memories(model, encoder_ids_BS, mask_BS, most)
    ]


def agreed(answers_GBT: list[Tensor]) -> tuple[Tensor, Tensor]:
    """``(answer_BT, segments_B)`` where each row stops as soon as two segments in a row agree, else at the last one."""
    answer_BT = answers_GBT[0]
    used_B, open_B = torch.ones_like(answer_BT[:, 0]), torch.ones_like(answer_BT[:, 0], dtype=torch.bool)
    for place in range(1, len(answers_GBT)):
        same_B = (answers_GBT[place] == answers_GBT[place - 1]).all(dim=1)
        answer_BT = torch.where(open_B[:, None], answers_GBT[place], answer_BT)
        used_B, open_B = torch.where(open_B, place + 1, used_B), open_B & ~same_B
    return answer_BT, used_B


def answer_maze(model: HrmLm, text: str, goals: int = 0) -> tuple[str, int]:
    """``(picture, segments used)`` of a typed maze with so many goals. Raises ConfigError FLOOD_MAZE for other text."""
    maze_RR, device = read_maze(text, goals), model.head.weight.device
    encoder_S = encoded(maze_RR)
    ids_1S, decoder_1T = (torch.from_numpy(ids)[None].to(device) for ids in (encoder_S, asked(len(encoder_S) - 1)))
    found = answers(model, ids_1S, torch.ones_like(ids_1S, dtype=torch.bool), decoder_1T, used_segments(model))
    label_1T, used_1 = agreed(found) if model.config.core.halt == "agree" else (found[-1], torch.tensor([len(found)]))
    return draw_answer(maze_RR, label_1T[0].tolist()), int(used_1[0])


def used_segments(model: HrmLm) -> int:
    """Segments run when the model is used: 1 where it has no core over tokens."""
    return model.config.core.eval_segments if _loops(model) else 1


@torch.no_grad()
def exact(model: HrmLm, rows: FloodRows, numbers_N: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """``(hits_GN, used_N)``: whether every open cell is right after each segment, and where ``agree`` would stop."""
    hits, used = [], []
    for begin in range(0, len(numbers_N), BATCH):
        batch = pad_batch(rows, numbers_N[begin : begin + BATCH])
        batch = {name: value.to(model.head.weight.device) for name, value in batch.items()}
        found = answers(model, batch["encoder_ids"], batch["encoder_mask"], batch["decoder_ids"], most)
        right = [((label_BT == batch["labels"]) | (batch["labels"] == IGNORED)).all(dim=1) for label_BT in found]
        hits.append(torch.stack(right).cpu().numpy())
        used.append(agreed(found)[1].cpu().numpy())
    return np.concatenate(hits, axis=1), np.concatenate(used)


def measure_flood(model: HrmLm, rows: FloodRows, config: HrmLmConfig, numbers_N: np.ndarray) -> Evaluation:
    """Exact match at depths trained on and at deeper ones, what going on adds there, and mazes to look at.

    Going on: from the fewest segments that an update of the training ran to as many as are used.
    """
    use, core = used_segments(model), config.model.core
    fewest = (core.least_segments or core.segments) if _loops(model) else 1
    hits_GN, used_N = exact(model, rows, numbers_N, max(use, fewest, SEGMENTS_SHOWN if _loops(model) else 1))
    depth_N, now_N = rows.depth_N[numbers_N], hits_GN[use - 1]
    near_N = depth_N <= max(TRAINED_DEPTHS)
    judged = [_share("near", now_N[near_N], depth_N[near_N]), _share("deep", now_N[~near_N], depth_N[~near_N])]
    if _loops(model):
        judged.append(_gain(now_N[~near_N], hits_GN[fewest - 1][~near_N], depth_N[~near_N]))
    scalars = {f"exact_{one.name}": one.value for one in judged[:2]} | {"segments": use}
    if _loops(model):
        scalars["segments_until_agreed"] = float(used_N.mean())
    lines = [f"exact match {one.hits} of {one.checks} mazes, {one.name} ({one.value:.4f})" for one in judged[:2]]
    tables = {"exact_by_depth": list(_by_depth(hits_GN, depth_N)), "mazes": _shown(model, rows, numbers_N, now_N)}
    return Evaluation(measurements=judged, scalars=scalars, tables=tables, summary=lines)


def _share(name: str, hits_N: np.ndarray, depth_N: np.ndarray) -> Measurement:
    checks = len(hits_N) if _enough(depth_N) else 0
    value = float(hits_N.mean()) if len(hits_N) else 0.0
    return Measurement(name=name, threshold=name, value=value, hits=int(hits_N.sum()), checks=checks)


def _gain(now_N: np.ndarray, fewer_N: np.ndarray, depth_N: np.ndarray) -> Measurement:
    """Paired over the mazes: mean difference and its normal 95% interval."""
    difference_N = now_N.astype(float) - fewer_N
    value, half = float(difference_N.mean()), 1.96 * float(difference_N.std() / max(1, len(difference_N)) ** 0.5)
    checks = len(now_N) if _enough(depth_N) else 0
    return Measurement(
        name="deep_gain", threshold="deep_gain", value=value, checks=checks, interval=(value - half, value + half)
    )


def _enough(depth_N: np.ndarray) -> bool:
    counts = np.unique(depth_N, return_counts=True)[1]
    return bool(len(counts)) and int(counts.min()) >= LEAST_MAZES


def _by_depth(hits_GN: np.ndarray, depth_N: np.ndarray) -> Iterator[dict[str, Any]]:
    for depth in DEPTHS:
        of_depth = hits_GN[:, depth_N == depth]
        if of_depth.shape[1]:
            shares = {
                f"segments_{place + 1}": round(float(share), 4) for place, share in enumerate(of_depth.mean(axis=1))
            }
            yield {"depth": depth, "mazes": of_depth.shape[1], **shares}


def _shown(model: HrmLm, rows: FloodRows, numbers_N: np.ndarray, solved_N: np.ndarray) -> list[dict[str, Any]]:
    """The deepest solved and failed mazes: the maze, the right answer and the model's."""
    order = np.argsort(-rows.depth_N[numbers_N], kind="stable")
    chosen = [order[solved_N[order] == solved][:SHOWN] for solved in (True, False)]
    found = []
    for place in np.concatenate(chosen).tolist():
        row = rows[int(numbers_N[place])]
        maze = decode_maze(row.encoder_ids.tolist())
        right = draw_answer(rows.mazes_NRR[numbers_N[place]], row.labels.tolist())
        found.append({
            "depth": int(rows.depth_N[numbers_N[place]]), "solved": bool(solved_N[place]),
            "maze": maze, "right": right, "answer": answer_maze(model, maze, rows.goals)[0],
        })  # fmt: skip
    return found


def _loops(model: HrmLm) -> bool:
    return model.config.memory != "encoder" and model.config.core.reads == "tokens"


def _memories(model: HrmLm, encoder_ids_BS: Tensor, mask_BS: Tensor, most: int) -> Iterator[Memory]:
    if _loops(model):
        return islice(model.segments(encoder_ids_BS, mask_BS), most)
    return iter([model.remember(encoder_ids_BS, mask_BS)])
