"""One episode in memory, what it must keep, and the id that its content gives it.

Row t of an episode of L steps: ``obs[t]``, the action taken there and the reward that this action earned. Row L holds
the last observation; nothing was done there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from assets_data.lineage import DataError, canonical_json

OBS_TYPES = ("uint8", "int32", "int64", "float32", "float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """``obs`` [L+1, *O] keeps its dtype, ``action`` [L, *A], ``reward`` float64 [L]. Both flags may be true; an episode
    that neither the environment ended nor a limit cut has none. ``seed`` is its reset seed, -1 where nobody knows it.
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: bool
    truncated: bool
    seed: int = -1
    source: str = ""

    @property
    def length(self) -> int:
        """L, the number of steps."""
        return len(self.reward)


def record_id(episode: Episode) -> str:
    """64 hex characters: SHA-256 of the header (dtypes, shapes, flags) as canonical JSON, a zero byte, and the bytes.

    Neither seed nor source is part of it: the same episode from elsewhere is the same record.
    """
    arrays = {"obs": episode.obs, "action": episode.action, "reward": episode.reward}
    header = {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()}
    digest = hashlib.sha256(canonical_json({**header, "ends": [bool(episode.terminated), bool(episode.truncated)]}))
    digest.update(b"\0")
    for array in arrays.values():
        digest.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def check_episode(episode: Episode, where: object) -> Episode:
    """The episode, if it can be stored. Raises DataError EPISODE_LENGTH, EPISODE_TYPE or EPISODE_NOT_FINITE."""
    steps = episode.length
    if steps < 1 or len(episode.action) != steps or len(episode.obs) != steps + 1:
        found = {"obs": len(episode.obs), "action": len(episode.action), "reward": steps}
        what = "an episode of L >= 1 steps has L + 1 observations, L actions and L rewards"
        raise DataError("EPISODE_LENGTH", what, found=found, where=where)
    if episode.obs.dtype.name not in OBS_TYPES or episode.reward.dtype != np.float64:
        found = {"obs": episode.obs.dtype.name, "reward": episode.reward.dtype.name}
        what = f"observations are one of {', '.join(OBS_TYPES)}, rewards float64"
        raise DataError("EPISODE_TYPE", what, found=found, where=where)
    for name, array in (("obs", episode.obs), ("action", episode.action), ("reward", episode.reward)):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(1)))
            what, action = f"{name} holds a number that is not finite", "repair or leave out this episode"
            raise DataError("EPISODE_NOT_FINITE", what, found=f"row {row} of {len(array)}", where=where, action=action)
    return episode
