"""``Episodes``: a replay buffer for Python users, with the methods that replay buffers have elsewhere.

    episodes = Episodes()
    episodes.add_episode(obs, actions, rewards, terminated=False, truncated=True)
    batch = episodes.sample(batch_size=16, seq_len=32, seed=0, step=7)

A sample never crosses an episode, is a pure function of (seed, step) and of what was added, and its arrays keep their
dtypes. What ``save`` writes, ``stemma import-episodes`` makes a slice of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.domains.episodes.export import write_npz, write_parquet
from assets_data.domains.episodes.files import infer_space, read_npz, read_parquet, split_flat
from assets_data.domains.episodes.record import Episode, check_episode, record_id
from assets_data.lineage import DataError, uniform01


class Episodes:
    """Whole episodes in memory, in the order they were added; ``len`` is how many."""

    def __init__(self, episodes: Iterable[Episode] = ()) -> None:
        self._episodes: list[Episode] = []
        for episode in episodes:
            self._add(episode)

    def __len__(self) -> int:
        return len(self._episodes)

    @property
    def transitions(self) -> int:
        """Steps over all episodes."""
        return sum(episode.length for episode in self._episodes)

    def add_episode(
        self,
        obs: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        *,
        terminated: bool,
        truncated: bool,
        seed: int = -1,
        source: str = "",
    ) -> str:
        """Add one episode of L steps: L + 1 observations, L actions, L rewards (of those actions). Returns its id.

        Raises DataError EPISODE_LENGTH, EPISODE_TYPE, EPISODE_NOT_FINITE, and EPISODE_SPACE for another shape or dtype
        than the episodes before.
        """
        episode = Episode(
            obs=np.asarray(obs),
            action=np.asarray(actions),
            reward=np.asarray(rewards, np.float64).reshape(-1),
            terminated=terminated,
            truncated=truncated,
            seed=seed,
            source=source,
        )
        return self._add(episode)

    @classmethod
    def from_trajectories(cls, trajectories: Iterable[Mapping[str, Any]]) -> Episodes:
        """Of mappings with the arguments of :meth:`add_episode`."""
        made = cls()
        for trajectory in trajectories:
            made.add_episode(**trajectory)
        return made

    @classmethod
    def load(cls, path: Path | str, reward_at: str = "") -> Episodes:
        """Of an .npz or .parquet file: an export of ours, or a foreign one, of which ``reward_at`` must be said."""
        path = Path(path)
        columns = read_parquet(path) if path.suffix == ".parquet" else read_npz(path)
        if "lengths" not in columns and reward_at not in ("action", "arrival"):
            what = "the file does not say whether rewards[t] belongs to actions[t] or came with obs[t]"
            raise DataError("EPISODES_REWARD_AT", what, expected="reward_at action or arrival", where=path)
        return cls(split_flat(columns, reward_at, path))

    def save(self, path: Path | str) -> None:
        """As .npz or .parquet, by the name's ending; :meth:`load` and ``stemma import-episodes`` read it."""
        path, space = Path(path), json.dumps(infer_space(self._episodes))
        (write_parquet if path.suffix == ".parquet" else write_npz)(path, self._episodes, space)

    def sample(self, batch_size: int, seq_len: int, *, seed: int, step: int) -> dict[str, np.ndarray]:
        """``obs`` [B, T, *O], ``actions`` [B, T, *A], ``rewards``, ``mask``, ``terminated`` [B, T]: uniform over
        all valid starts. Rows behind a short episode's end repeat its last one and are not in the mask.
        """
        if not self._episodes:
            raise DataError("EPISODES_NO_SLICES", "there is no episode to sample from")
        starts = np.array([max(1, e.length + 2 - seq_len) for e in self._episodes], np.int64)
        ends = np.cumsum(starts)
        drawn = uniform01(seed, f"episodes/sample/{step}", np.arange(batch_size, dtype=np.uint64))
        place = np.floor(drawn * ends[-1]).astype(np.int64)
        chosen = np.searchsorted(ends, place, side="right")
        cut = [
            _cut(self._episodes[e], int(p - ends[e] + starts[e]), seq_len) for e, p in zip(chosen, place, strict=True)
        ]
        return {name: np.stack([row[name] for row in cut]) for name in cut[0]}

    def _add(self, episode: Episode) -> str:
        check_episode(episode, f"episode {len(self)}")
        if self._episodes:
            first = self._episodes[0]
            for name, one, other in (("obs", first.obs, episode.obs), ("action", first.action, episode.action)):
                if (one.dtype, one.shape[1:]) != (other.dtype, other.shape[1:]):
                    expected, found = f"{one.dtype} {one.shape[1:]}", f"{other.dtype} {other.shape[1:]}"
                    what = f"{name} of another dtype or shape than the episodes before"
                    raise DataError("EPISODE_SPACE", what, expected=expected, found=found, where=f"episode {len(self)}")
        self._episodes.append(episode)
        return record_id(episode)


def _cut(episode: Episode, start: int, length: int) -> dict[str, np.ndarray]:
    rows = start + np.arange(length)
    at, inside = np.minimum(rows, episode.length), rows <= episode.length
    taken = np.minimum(at, episode.length - 1)
    live = (at < episode.length) & inside
    shape = (length, *[1] * (episode.action.ndim - 1))
    return {
        "obs": episode.obs[at],
        "actions": np.where(live.reshape(shape), episode.action[taken], np.zeros((), episode.action.dtype)),
        "rewards": np.where(live, episode.reward[taken], 0.0),
        "mask": inside,
        "terminated": (rows == episode.length) & bool(episode.terminated),
    }
