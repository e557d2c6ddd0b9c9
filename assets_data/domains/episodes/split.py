"""Which split an episode belongs to: a keyed function of its record id, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from assets_data.domains.episodes.config import SplitConfig
from assets_data.domains.episodes.read import SPLITS
from assets_data.lineage import DataError, Snapshot, uniform01
from assets_data.lineage.identity.digests import digest_key64
from assets_data.lineage.identity.record_ids import decode_records


def episode_keys(episodes: Snapshot) -> np.ndarray:
    """uint64[n]: the key of every episode of a raw slice, from its record id."""
    table = episodes.table("episodes.arrow")
    return digest_key64(decode_records(table["record_id"].combine_chunks(), "episodes.arrow"))


def assign_splits(keys: np.ndarray, config: SplitConfig) -> np.ndarray:
    """str[n]: the split of each episode of these keys (uint64[n])."""
    draw = uniform01(config.seed, "episodes/split", keys)
    held_out = config.test_share + config.validation_share
    return np.select([draw < config.test_share, draw < held_out], ["test", "validation"], default="train")


def first_copies(slices: Mapping[str, Snapshot]) -> dict[str, np.ndarray]:
    """Slice name to bool[n]: the episodes that no slice before it, by name, holds. A duplicate counts once."""
    seen: set[str] = set()
    first: dict[str, np.ndarray] = {}
    for name in sorted(slices):
        records = slices[name].table("episodes.arrow")["record_id"].to_pylist()
        first[name] = np.array([record not in seen for record in records], bool)
        seen |= set(records)
    return first


def require_enough(counts: Mapping[str, int], config: SplitConfig) -> None:
    """Raises DataError EPISODES_TOO_FEW unless every split has ``least`` episodes."""
    if few := {split: counts.get(split, 0) for split in SPLITS if counts.get(split, 0) < config.least}:
        what, action = "too few episodes in a split", "collect more, or lower episodes.statistics.split.least"
        raise DataError("EPISODES_TOO_FEW", what, expected=f"at least {config.least} each", found=few, action=action)
