"""Sequences as training rows, with their random starts and draws keyed by (seed, epoch, row key).

The slices' steps are no members of their own: the sequences' layout names them by id, so its id stands for all of them,
and a run that never took a withdrawn episode may go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from assets_data.domains.episodes.read import Episodes, Replay, SequenceRows, open_replay
from assets_data.lineage import Snapshot, Store, mix64, uniform01
from training.data import TableRef


@dataclass(frozen=True, kw_only=True)
class WorldData:
    """The training rows of a replay, held-out ones beside, and what the model must know of the space."""

    replay: Replay
    rows: SequenceRows
    members: Mapping[str, str]
    tables: Sequence[TableRef]

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[N]: the order's keys."""
        return self.rows.row_keys

    @property
    def items_per_row(self) -> float:
        """Mean steps of a row that are no padding."""
        return self.rows.items

    @cached_property
    def validation(self) -> ValidationRows:
        """The validation episodes' sequences."""
        return ValidationRows(self.replay.rows("validation"))

    @cached_property
    def test(self) -> Episodes:
        """The test episodes, whole."""
        return self.replay.episodes("test")

    @cached_property
    def train_episodes(self) -> Episodes:
        """The training episodes, whole: what baselines are fitted on."""
        return self.replay.episodes("train")

    @cached_property
    def statistics(self) -> Mapping[str, Any]:
        """The pinned moments."""
        return self.replay.statistics.read_json("statistics.json")


@dataclass(frozen=True)
class ValidationRows:
    """Held-out sequences, as ``WorldData`` has them."""

    rows: SequenceRows

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[N]."""
        return self.rows.row_keys


def open_data(store: Store, manifest: Snapshot) -> WorldData:
    """Verified and memory-mapped."""
    replay = open_replay(store, manifest)
    return WorldData(
        replay=replay,
        rows=replay.rows("train"),
        members={"sequences": replay.sequences.id, "statistics": replay.statistics.id},
        tables=(TableRef(replay.sequences.id, "train.arrow"),),
    )


def model_inputs(data: WorldData) -> dict[str, Any]:
    """What a model takes from the data, as JSON: shapes, bounds, moments, mean length."""
    space, statistics = data.replay.space, data.statistics
    moments = {name: statistics[name] for name in ("obs", "reward", "mean_length")}
    return {"obs_space": dict(space["obs"]), "action_space": dict(space["action"]), "moments": moments}


def keyed_uniforms(keys: np.ndarray, epochs: np.ndarray, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """float32[B, *shape] in [0, 1): the draws of each row in its epoch."""
    count = int(np.prod(shape))
    drawn = np.empty((len(keys), count), np.float32)
    for epoch in np.unique(epochs):
        chosen = epochs == epoch
        mixed = mix64(seed, f"draw/{epoch}", keys[chosen])[:, None] ^ mix64(0, "draw", np.arange(count))[None, :]
        drawn[chosen] = uniform01(seed, "draw/bits", mixed)
    return np.minimum(drawn, np.float32(1 - 2**-24)).reshape(len(keys), *shape)
