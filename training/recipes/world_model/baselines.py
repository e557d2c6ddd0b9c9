"""What a model must beat open loop: the last observation, two linear models, the nearest recorded transitions.

All see the context, the true actions, and normalised observations. Fitted on training episodes only. Shapes: N windows,
K context rows, H horizons, M training transitions, D observation, A action (one-hot or scaled), F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LAGS, NEIGHBOURS, PENALTY = 4, 5, 1e-3
NO_CHANGE, RIDGE, DIRECT, KNN = "no_change", "ridge", "ridge_direct", "knn"
NAMES = (NO_CHANGE, RIDGE, DIRECT, KNN)


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """Episodes end to end, normalised: rows [R, D], actions [R, A] (zeros in last rows), and each row's episode [R]."""

    obs_RD: np.ndarray
    action_RA: np.ndarray
    episode_R: np.ndarray

    def rows_with(self, before: int, after: int) -> np.ndarray:
        """int64: rows with so many rows before and after them in their own episode."""
        rows = np.arange(before, len(self.obs_RD) - after)
        return rows[self.episode_R[rows - before] == self.episode_R[rows + after]]


def predict(train: Tracks, obs_NKD: np.ndarray, action_NTA: np.ndarray, horizon: int, judged: int, most: int):
    """Name -> predictions [N, H, D] after the context; ``ridge_direct`` only up to ``judged``, NaN behind.

    ``action_NTA`` covers context and horizons: the action at row t leads to row t + 1. At most ``most`` training
    transitions are looked at, evenly spaced.
    """
    return {
        NO_CHANGE: np.repeat(obs_NKD[:, -1:], horizon, axis=1),
        RIDGE: _iterated_ridge(train, obs_NKD, action_NTA, horizon, most),
        DIRECT: _direct_ridge(train, obs_NKD, action_NTA, horizon, judged, most),
        KNN: _iterated_knn(train, obs_NKD, action_NTA, horizon, most),
    }


def solve_ridge(features_MF: np.ndarray, targets_MD: np.ndarray) -> np.ndarray:
    """[F, D]: least squares with an L2 penalty relative to the features' mean square."""
    gram = features_MF.T @ features_MF
    penalty = PENALTY * np.trace(gram) / len(gram)
    return np.linalg.solve(gram + penalty * np.eye(len(gram)), features_MF.T @ targets_MD)


def _lagged(obs: np.ndarray, action: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[M, F]: four observations and actions up to each row, newest first, and a one."""
    parts = [obs[rows - lag] for lag in range(LAGS)] + [action[rows - lag] for lag in range(LAGS)]
    return np.concatenate([*parts, np.ones((len(rows), 1))], axis=1)


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    return rows if len(rows) <= most else rows[np.arange(most) * len(rows) // most]


def _iterated_ridge(train: Tracks, obs_NKD: np.ndarray, action_NTA: np.ndarray, horizon: int, most: int) -> np.ndarray:
    rows = _spread(train.rows_with(LAGS - 1, 1), most)
    weights_FD = solve_ridge(_lagged(train.obs_RD, train.action_RA, rows), train.obs_RD[rows + 1])
    context = obs_NKD.shape[1]
    seen = [obs_NKD[:, context - 1 - lag] for lag in range(LAGS)]
    said = []
    for step in range(horizon):
        taken = [action_NTA[:, context - 1 + step - lag] for lag in range(LAGS)]
        after = np.concatenate([*seen, *taken, np.ones((len(obs_NKD), 1))], axis=1) @ weights_FD
        after = np.clip(after, -1e3, 1e3)  # an unstable linear model loses; it must not overflow
        said.append(after)
        seen = [after, *seen[:-1]]
    return np.stack(said, axis=1)


def _direct_ridge(
    train: Tracks, obs_NKD: np.ndarray, action_NTA: np.ndarray, horizon: int, judged: int, most: int
) -> np.ndarray:
    context = obs_NKD.shape[1]
    said = np.full((len(obs_NKD), horizon, obs_NKD.shape[2]), np.nan)
    window = np.concatenate([obs_NKD[:, context - 1 - lag] for lag in range(LAGS)], axis=1)
    past = np.concatenate([action_NTA[:, context - 1 - lag] for lag in range(LAGS)], axis=1)
    ones = np.ones((len(obs_NKD), 1))
    for step in range(1, judged + 1):
        rows = _spread(train.rows_with(LAGS - 1, step), most)
        ahead = [train.action_RA[rows + later] for later in range(1, step)]
        features = np.concatenate([_lagged(train.obs_RD, train.action_RA, rows), *ahead], axis=1)
        weights = solve_ridge(features, train.obs_RD[rows + step])
        later = [action_NTA[:, context - 1 + more] for more in range(1, step)]
        said[:, step - 1] = np.concatenate([window, past, ones, *later], axis=1) @ weights
    return said


def _iterated_knn(train: Tracks, obs_NKD: np.ndarray, action_NTA: np.ndarray, horizon: int, most: int) -> np.ndarray:
    rows = _spread(train.rows_with(2, 1), most)
    obs = train.obs_RD
    features_MF = _differences(obs[rows], obs[rows - 1], obs[rows - 2], train.action_RA[rows])
    change_MD = obs[rows + 1] - obs[rows]
    squares_M = np.square(features_MF).sum(axis=1)
    context = obs_NKD.shape[1]
    now, before, earlier = (obs_NKD[:, context - 1 - lag] for lag in range(3))
    said = []
    for step in range(horizon):
        query = _differences(now, before, earlier, action_NTA[:, context - 1 + step])
        distance = np.maximum(squares_M - 2 * query @ features_MF.T + np.square(query).sum(axis=1)[:, None], 0.0)
        nearest = np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        weight = 1.0 / (np.sqrt(np.take_along_axis(distance, nearest, axis=1)) + 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        after = now + (change_MD[nearest] * weight[..., None]).sum(axis=1)
        now, before, earlier = after, now, before
        said.append(after)
    return np.stack(said, axis=1)


def _differences(now: np.ndarray, before: np.ndarray, earlier: np.ndarray, action: np.ndarray) -> np.ndarray:
    return np.concatenate([now, now - before, before - earlier, action], axis=1)
