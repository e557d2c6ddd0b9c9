"""Recorded observations and actions as plain normalised numbers, in numpy: what baselines and errors are counted in."""

from __future__ import annotations

import math

import numpy as np

from assets_data.domains.episodes.read import Episodes
from training.recipes.world_model.baselines import Tracks
from training.recipes.world_model.data import WorldData


class Numbers:
    """The same scaling as the models', from the same pinned moments."""

    def __init__(self, data: WorldData) -> None:
        space, moments = data.replay.space, data.statistics["obs"]
        self._action = space["action"]
        self._obs_dims = len(space["obs"]["shape"])
        self.image = moments is None
        self.size = math.prod(space["obs"]["shape"])
        self._mean, self._deviation = (np.array(moments[n]) for n in ("mean", "deviation")) if moments else (0.0, 1.0)

    def obs(self, obs: np.ndarray) -> np.ndarray:
        """[..., *O] as recorded -> float64 [..., D], normalised."""
        leading = obs.shape[: obs.ndim - self._obs_dims]
        return (obs.reshape(*leading, self.size).astype(np.float64) - self._mean) / self._deviation

    def action(self, action: np.ndarray) -> np.ndarray:
        """[..., *A] as recorded -> float64 [..., A]: in [-1, 1], or one-hot."""
        if self._action["kind"] == "discrete":
            return np.eye(self._action["n"])[np.maximum(action - self._action["start"], 0)]
        low, high = np.array(self._action["low"]).ravel(), np.array(self._action["high"]).ravel()
        leading = action.shape[: action.ndim - len(self._action["shape"])]
        return 2 * (action.reshape(*leading, -1).astype(np.float64) - low) / (high - low) - 1

    def tracks(self, episodes: Episodes) -> Tracks:
        """Whole episodes end to end; in an episode's last row no action was taken, and zeros stand for it."""
        obs = [self.obs(episodes.obs(episode)) for episode in range(len(episodes))]
        action = [self.action(episodes.action(episode)) for episode in range(len(episodes))]
        padded = [np.concatenate([taken, np.zeros((1, taken.shape[1]))]) for taken in action]
        return Tracks(
            obs_RD=np.concatenate(obs),
            action_RA=np.concatenate(padded),
            episode_R=np.repeat(np.arange(len(obs)), [len(rows) for rows in obs]),
        )
