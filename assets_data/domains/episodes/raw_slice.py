"""The raw_slice stage: the episodes of one source as a replay store, memory-mappable, each a record.

Promises that no row belongs to two episodes, that dtypes stay, that an end and a cut stay apart, that reuse goes by
seeds and versions (or the digest of a file), and that a withdrawn episode stays away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.episodes.config import SourceConfig
from assets_data.domains.episodes.read import open_steps
from assets_data.domains.episodes.record import Episode, check_episode, record_id
from assets_data.domains.episodes.simulator import machine
from assets_data.domains.episodes.source import arguments_of, open_episodes
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store
from assets_data.lineage.identity.digests import digest_key64
from assets_data.lineage.identity.record_ids import among, decode_records
from assets_data.lineage.storage.tombstones import WITHDRAWN

KIND = "episodes/raw_slice"


def make_raw_slice(store: Store, slice_name: str, config: SourceConfig) -> Snapshot:
    """Publish (or reuse) a slice: ``episodes.arrow``, ``steps.arrow`` (L + 1 rows each) and ``space.json``."""
    arguments = {"slice": slice_name, **arguments_of(config, slice_name)}
    return store.run_stage(
        name=KIND,
        module=__name__,
        config=config,
        arguments=arguments,
        parents={},
        build=lambda writer: _build(writer, *open_episodes(config, slice_name), slice_name, store.withdrawn),
    )


def arguments_now(config: SourceConfig, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What of a receipt's arguments the source decides, asked again: versions, seeds, or the digest of the file."""
    return arguments_of(config, arguments["slice"])


def without_records(writer: SnapshotWriter, raw_slice: Snapshot, gone: np.ndarray) -> None:
    """Write a slice as it is without the records ``gone`` (uint8[n, 32], ascending), as making it again would."""
    write_slice(writer, raw_slice.read_json("space.json"), iter_episodes(raw_slice), gone, raw_slice.stats)


def iter_episodes(raw_slice: Snapshot) -> Iterator[Episode]:
    """The episodes of a published slice, as views of its map."""
    steps = open_steps(raw_slice)
    for row in raw_slice.table("episodes.arrow").to_pylist():
        begin, length = row["begin"], row["length"]
        yield Episode(
            obs=steps.obs[begin : begin + length + 1],
            action=steps.action[begin : begin + length],
            reward=steps.reward[begin : begin + length],
            terminated=row["terminated"],
            truncated=row["truncated"],
            seed=row["seed"],
            source=row["source"],
        )


def write_slice(
    writer: SnapshotWriter,
    space: Mapping[str, Any],
    episodes: Iterator[Episode],
    gone: np.ndarray,
    counts: Mapping[str, Any],
) -> None:
    """The episodes that nobody withdrew, each once, in their order. read = kept + duplicate + withdrawn."""
    read = [check_episode(episode, f"episode {number}") for number, episode in enumerate(episodes)]
    _check_space(space, read)
    distinct = {record_id(episode): episode for episode in reversed(read)}  # the first copy of a duplicate stays
    every = dict(reversed(distinct.items()))
    column = pa.array(list(every), pa.string())
    mask = among(decode_records(column, KIND), gone)
    kept = {record: episode for (record, episode), out in zip(every.items(), mask.tolist(), strict=True) if not out}
    if mask.any():
        writer.found[WITHDRAWN] = sorted(column.filter(pa.array(mask)).to_pylist())
    writer.write_json("space.json", dict(space))
    writer.write_table("episodes.arrow", _episode_table(kept))
    writer.write_table("steps.arrow", _step_table(space, list(kept.values())))
    writer.write_json("machine.json", machine(), sidecar=True)
    writer.records(list(kept))
    duplicates = len(read) - len(every)
    writer.stats |= {
        "read": counts.get("read", len(read)),
        "duplicate": counts.get("duplicate", duplicates),
        WITHDRAWN: counts.get(WITHDRAWN, 0) + int(mask.sum()),
        "rows": len(kept),
        "steps": sum(episode.length for episode in kept.values()),
    }


def _build(
    writer: SnapshotWriter, space: Mapping[str, Any], episodes: Iterator[Episode], where: str, gone: np.ndarray
) -> None:
    write_slice(writer, space, episodes, gone, {})


def _check_space(space: Mapping[str, Any], episodes: Sequence[Episode]) -> None:
    """Raises DataError EPISODE_SPACE for an episode of another dtype, shape or of actions outside the space."""
    obs, action = space["obs"], space["action"]
    for number, episode in enumerate(episodes):
        found = {
            "obs": {"dtype": episode.obs.dtype.name, "shape": list(episode.obs.shape[1:])},
            "action": {"dtype": episode.action.dtype.name, "shape": list(episode.action.shape[1:])},
        }
        expected = {"obs": obs, "action": {name: action[name] for name in ("dtype", "shape")}}
        if found != expected:
            what = "an episode of another space"
            raise DataError("EPISODE_SPACE", what, expected=expected, found=found, where=f"episode {number}")
        if not _inside(action, episode.action):
            what = "an action outside the action space"
            raise DataError("EPISODE_SPACE", what, expected=action, where=f"episode {number}")


def _inside(space: Mapping[str, Any], action: np.ndarray) -> bool:
    if space["kind"] == "discrete":
        return bool(((action >= space["start"]) & (action < space["start"] + space["n"])).all())
    low, high = np.array(space["low"], action.dtype), np.array(space["high"], action.dtype)
    return bool(((action >= low) & (action <= high)).all())


def _episode_table(kept: Mapping[str, Episode]) -> pa.Table:
    lengths = np.array([episode.length for episode in kept.values()], np.int64)
    records = pa.array(list(kept), pa.string())
    episodes = list(kept.values())
    return pa.table(
        {
            "record_id": records,
            "row_key": digest_key64(decode_records(records, KIND)),
            "begin": np.cumsum(lengths + 1) - (lengths + 1),
            "length": lengths,
            "terminated": pa.array([bool(episode.terminated) for episode in episodes], pa.bool_()),
            "truncated": pa.array([bool(episode.truncated) for episode in episodes], pa.bool_()),
            "seed": pa.array([episode.seed for episode in episodes], pa.int64()),
            "return": pa.array([float(episode.reward.sum()) for episode in episodes], pa.float64()),
            "source": pa.array([episode.source for episode in episodes], pa.string()),
        }
    )


def _step_table(space: Mapping[str, Any], episodes: Sequence[Episode]) -> pa.Table:
    obs = [episode.obs for episode in episodes]
    action = [_padded(episode.action) for episode in episodes]
    reward = [_padded(episode.reward) for episode in episodes]
    return pa.table(
        {
            "obs": fixed_lists(_joined(obs, space["obs"])),
            "action": fixed_lists(_joined(action, space["action"])),
            "reward": np.concatenate([np.empty(0), *reward]),
        }
    )


def _padded(array: np.ndarray) -> np.ndarray:
    """With the zeros of the last row, where nothing was done."""
    return np.concatenate([array, np.zeros((1, *array.shape[1:]), array.dtype)])


def _joined(arrays: Sequence[np.ndarray], facts: Mapping[str, Any]) -> np.ndarray:
    return np.concatenate([np.empty((0, *facts["shape"]), facts["dtype"]), *arrays])


def fixed_lists(array: np.ndarray) -> pa.FixedSizeListArray:
    """[n, ...] as n lists of one length; a scalar per row is a list of one."""
    flat = np.ascontiguousarray(array).reshape(-1)
    width = int(np.prod(array.shape[1:], dtype=int))
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), width)
