"""The statistics stage: moments of the training episodes and their mean length, computed once and then pinned.

Promises that what was published once is returned from then on, whatever episodes arrive or go, until ``again`` is asked
for: computed afresh, every withdrawal would bend every batch. Images (uint8) are not measured: they are bytes.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from assets_data.domains.episodes.config import EpisodesConfig, SplitConfig
from assets_data.domains.episodes.raw_slice import iter_episodes
from assets_data.domains.episodes.spaces import shared_space
from assets_data.domains.episodes.split import assign_splits, episode_keys, first_copies, require_enough
from assets_data.lineage import IntegrityError, Snapshot, SnapshotWriter, Store, digest_json, lease, to_dict

KIND = "episodes/statistics"
PINS = f"pins/{KIND}"

Slices = Mapping[str, Snapshot]


def make_statistics(store: Store, raw_slice: Slices, config: EpisodesConfig) -> Snapshot:
    """The pinned ``statistics.json`` for this space, these slices' kind of source and this split.

    Raises DataError EPISODES_TOO_FEW and SPACES_DIFFER, IntegrityError STATISTICS_PIN_BROKEN.
    """
    slices = {name: raw_slice[name] for name in sorted(raw_slice)}
    pinned_under = {"space": shared_space(slices), "split": to_dict(config.split)}
    pin = f"{PINS}/{digest_json(pinned_under).removeprefix('sha256:')[:16]}"
    with lease(store.root / "pointers" / f"{pin}.lock"):
        if store.pointer(pin) and not config.statistics.again:
            return dataclasses.replace(_pinned(store, pin, slices, config.split), reused=True)
        snapshot = _compute(store, slices, config.split)
        store.point(pin, snapshot)
        return snapshot


def _pinned(store: Store, pin: str, slices: Slices, split: SplitConfig) -> Snapshot:
    try:
        return store.pointed(pin)
    except IntegrityError:
        _compute(store, slices, split)  # quarantines and makes again the broken copy if these slices are what made it
    try:
        return store.pointed(pin)
    except IntegrityError as error:
        what = f"the pinned statistics are broken and these slices do not make them again: {error}"
        action = "restore them from a copy, or set episodes.statistics.statistics.again = true"
        raise IntegrityError("STATISTICS_PIN_BROKEN", what, where=pin, action=action) from error


def _compute(store: Store, slices: Slices, split: SplitConfig) -> Snapshot:
    return store.run_stage(
        name=KIND,
        module=__name__,
        config={"split": to_dict(split), "statistics": {"again": False}},
        arguments={"slices": list(slices)},
        parents={"raw_slice": list(slices.values())},
        build=lambda writer: _build(writer, slices, split),
    )


def _build(writer: SnapshotWriter, slices: Slices, config: SplitConfig) -> None:
    obs, reward = _Moments(), _Moments()
    counts: Counter[str] = Counter()
    lengths: list[int] = []
    first = first_copies(slices)
    for name, snapshot in slices.items():
        splits = assign_splits(episode_keys(snapshot), config)
        counts.update(splits[first[name]].tolist())
        for episode, split, counted in zip(iter_episodes(snapshot), splits, first[name], strict=True):
            if split == "train" and counted:
                lengths.append(episode.length)
                reward.add(episode.reward[:, None])
                if episode.obs.dtype != np.uint8:
                    obs.add(episode.obs.reshape(len(episode.obs), -1))
    require_enough(counts, config)
    document: dict[str, Any] = {
        "obs": obs.facts() if obs.count else None,
        "reward": {name: values[0] for name, values in reward.facts().items()},
        "mean_length": float(np.mean(lengths)),
        "space": shared_space(slices),
    }
    writer.write_json("statistics.json", document)
    writer.stats |= {"episodes": len(lengths), "steps": int(np.sum(lengths)), "splits": dict(counts)}


class _Moments:
    """Exact-order sums in float64: one pass, episodes in their order, so the same slices give the same bits."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, np.zeros(1), np.zeros(1)

    def add(self, rows_ND: np.ndarray) -> None:
        values = rows_ND.astype(np.float64)
        self.count += len(values)
        self.sum = self.sum + values.sum(axis=0)
        self.squares = self.squares + np.square(values).sum(axis=0)

    def facts(self) -> dict[str, list[float]]:
        mean = self.sum / self.count
        deviation = np.sqrt(np.maximum(self.squares / self.count - np.square(mean), 0.0))
        still = deviation < 1e-6 * np.maximum(1.0, np.abs(mean))  # a constant number is not blown up by its rounding
        return {"mean": mean.tolist(), "deviation": np.where(still, 1.0, deviation).tolist()}
