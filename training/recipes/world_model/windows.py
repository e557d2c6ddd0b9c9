"""Where the gate predicts: windows of test episodes, a context and then up to ``horizon`` rows, in recorded units.

Shapes: N windows, K context rows, H horizons, D observation, A action (both flattened, as float64).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets_data.domains.episodes.read import Episodes
from assets_data.lineage import text_key64
from training.recipes.world_model.config import GateConfig


@dataclass(frozen=True, kw_only=True)
class Windows:
    """``starts_N`` is the row of the first context row. ``rows_N`` are the rows from there that exist, context and
    horizons together; what lies behind repeats the last one.
    """

    episode_N: np.ndarray
    starts_N: np.ndarray
    rows_N: np.ndarray
    obs: np.ndarray
    """[N, K + H, *O] as recorded."""
    action: np.ndarray
    """[N, K + H, *A] as recorded; zeros from an episode's last row on."""
    keys_N: np.ndarray
    """uint64[N]: by record id and start, so that other windows than the registered ones are told."""

    def horizons(self, context: int) -> np.ndarray:
        """int64[N]: how many rows after the context exist."""
        return self.rows_N - context


def cut_windows(episodes: Episodes, gate: GateConfig) -> Windows:
    """Up to ``gate.windows`` evenly spaced windows per episode with at least one row after the context."""
    total = gate.context + gate.horizon
    chosen: list[tuple[int, int, int]] = []
    for episode in range(len(episodes)):
        rows = int(episodes.length_N[episode]) + 1
        last = max(0, rows - total)
        for start in sorted({round(last * i / max(1, gate.windows - 1)) for i in range(gate.windows)}):
            if rows - start > gate.context:
                chosen.append((episode, start, min(total, rows - start)))
    obs = [_padded(episodes.obs(e)[start : start + rows], total) for e, start, rows in chosen]
    action = [_padded(_actions(episodes, e)[start : start + rows], total) for e, start, rows in chosen]
    episode_N, starts_N, rows_N = (
        (np.array(column, np.int64) for column in zip(*chosen, strict=True))
        if chosen
        else (np.empty(0, np.int64) for _ in range(3))
    )
    names = [f"{episodes.records[e]}/{start}" for e, start, _ in chosen]
    return Windows(
        episode_N=episode_N,
        starts_N=starts_N,
        rows_N=rows_N,
        obs=np.stack(obs) if obs else np.empty((0, total, 1)),
        action=np.stack(action) if action else np.empty((0, total, 1)),
        keys_N=text_key64(names) if names else np.empty(0, np.uint64),
    )


def flat(array: np.ndarray, dims: int) -> np.ndarray:
    """float64 [..., D]: everything behind the first ``dims`` axes in one."""
    return array.reshape(*array.shape[:dims], -1).astype(np.float64)


def _actions(episodes: Episodes, episode: int) -> np.ndarray:
    taken = episodes.action(episode)
    return np.concatenate([taken, np.zeros((1, *taken.shape[1:]), taken.dtype)])


def _padded(rows: np.ndarray, total: int) -> np.ndarray:
    return rows[np.minimum(np.arange(total), len(rows) - 1)]
