"""Episodes from files: flat .npz and .parquet tables of steps, and Minari datasets (HDF5) of a local folder.

A flat table says ``obs``, ``actions``, ``rewards`` and ``dones`` per row, one episode after the other. What
:mod:`export` writes has columns besides that say all there is; of a foreign table that has none of them:

- an episode ends where ``dones`` > 0.5, and is then terminated; what is left after the last end is truncated;
- where rewards arrive with observations, row t's reward was earned by the action of row t - 1, and the last row of an
  episode holds its last observation;
- where rewards stand beside their actions, what the last action of an episode led to is not in the file (unless there
  are ``next_obs``): that step is left out, and the episode, whose end nobody sees, is truncated.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.domains.episodes.config import SourceConfig
from assets_data.domains.episodes.record import Episode
from assets_data.lineage import DataError, digest_file, to_dict
from assets_data.lineage.errors import ConfigError

FORMATS = {"collect": "", "npz": ".npz", "parquet": ".parquet", "minari": "main_data.hdf5"}
NEEDED = ("obs", "actions", "rewards", "dones")
SPACE = "stemma_space"
"""Where an export keeps its space: an array of the .npz, a key of the Parquet file's metadata."""
OWN = ("lengths", "terminated", "truncated", "seeds", "sources")
"""What of an export is per episode; with ``lengths``, episodes of L steps have L + 1 rows."""


def digest_of(path: Path) -> str:
    """``sha256:`` of a file; of a folder, over the names and digests of its files."""
    if path.is_file():
        return digest_file(path)
    files = sorted(inner for inner in path.rglob("*") if inner.is_file())
    lines = "".join(f"{digest_file(inner)} {inner.relative_to(path)}\n" for inner in files)
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def read_episodes(config: SourceConfig, path: Path) -> tuple[dict[str, Any], Iterator[Episode]]:
    """``(space, episodes)``. Raises DataError EPISODES_FILE naming what is missing or does not fit."""
    if config.source == "minari":
        episodes = list(read_minari(path, config.obs_key))
    else:
        columns = read_npz(path) if config.source == "npz" else read_parquet(path)
        episodes = list(split_flat(columns, config.reward_at, path))
        if SPACE in columns and not config.env_id:
            return json.loads(str(columns[SPACE])), iter(episodes)
    if not episodes:
        raise DataError("EPISODES_FILE", "there is no whole step in it", where=path)
    return space_of(config, episodes), iter(episodes)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; nothing pickled is read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, AttributeError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError("EPISODES_FILE", f"not a plain .npz file: {error}", where=path) from error


def read_parquet(path: Path) -> dict[str, np.ndarray]:
    """The columns of a Parquet file as arrays; an export's columns per episode lie in the file's metadata."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError("EPISODES_FILE", f"not a Parquet file: {error}", where=path) from error
    shapes = _shapes(table.schema.metadata or {})
    columns = {name: _column(table[name], shapes.get(name)) for name in table.column_names}
    if "episode" in columns and "dones" not in columns:
        number = columns.pop("episode")
        last = np.append(number[1:] != number[:-1], True) if len(number) else np.zeros(0, bool)
        columns["dones"] = last.astype(np.float32)
    kept = {SPACE: np.array(space.decode())} if (space := (table.schema.metadata or {}).get(SPACE.encode())) else {}
    return {**columns, **_per_episode(table.schema.metadata or {}), **kept}


def split_flat(columns: Mapping[str, np.ndarray], reward_at: str, where: object) -> Iterator[Episode]:
    """The episodes of a flat table, see above."""
    if not set(NEEDED) <= set(columns):
        raise DataError("EPISODES_FILE", "columns are missing", expected=NEEDED, found=sorted(columns), where=where)
    rows = {name: len(columns[name]) for name in NEEDED}
    if len(set(rows.values())) > 1:
        raise DataError("EPISODES_FILE", "columns have different numbers of rows", found=rows, where=where)
    if "lengths" in columns:
        yield from _exported(columns, where)
        return
    ends = np.flatnonzero(np.asarray(columns["dones"]).ravel() > 0.5) + 1
    bounds = [0, *ends.tolist()]
    if bounds[-1] < rows["obs"]:
        bounds.append(rows["obs"])
    for begin, end in itertools.pairwise(bounds):
        episode = _foreign(columns, begin, end, bool(len(ends)) and end <= ends[-1], reward_at, str(where))
        if episode is not None:
            yield episode


def read_minari(path: Path, obs_key: str) -> Iterator[Episode]:
    """The episodes of one local Minari dataset, in the order of their numbers."""
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        action = "pip install 'stemma[episodes]'"
        raise ConfigError("ENV_MISSING", "Minari datasets are HDF5 files", found="h5py", action=action) from error
    with h5py.File(next(path.rglob(FORMATS["minari"]))) as file:
        for name in sorted(file, key=lambda name: int(name.rpartition("_")[2])):
            group = file[name]
            obs = group["observations"]
            if not hasattr(obs, "shape"):
                if obs_key not in obs:
                    known = sorted(obs)
                    raise DataError("ENV_SPACE", "no such entry of an observation", expected=known, found=obs_key)
                obs = obs[obs_key]
            yield Episode(
                obs=obs[()],
                action=group["actions"][()],
                reward=group["rewards"][()].astype(np.float64),
                terminated=bool(group["terminations"][-1]),
                truncated=bool(group["truncations"][-1]),
                seed=_seed(group.attrs.get("seed")),
                source=f"{path.name}/{name}",
            )


def space_of(config: SourceConfig, episodes: list[Episode]) -> dict[str, Any]:
    """The facts of the environment that the settings name, else what the episodes themselves say."""
    if config.env_id:
        from assets_data.domains.episodes.simulator import Simulator

        simulator = Simulator(to_dict(config))
        simulator.close()
        return {**simulator.facts, "policy": None}
    return infer_space(episodes)


def infer_space(episodes: list[Episode]) -> dict[str, Any]:
    """What episodes themselves show of their space."""
    first = episodes[0]
    return {
        "environment": None,
        "sensor": None,
        "policy": None,
        "obs": {"dtype": first.obs.dtype.name, "shape": list(first.obs.shape[1:])},
        "action": _action_space(episodes),
    }


def _action_space(episodes: list[Episode]) -> dict[str, Any]:
    """Integers without a shape are discrete, floats a box that is at least from -1 to 1."""
    first = episodes[0].action
    facts = {"dtype": first.dtype.name, "shape": list(first.shape[1:])}
    if first.dtype.kind in "iu" and not facts["shape"]:
        most = max(int(episode.action.max(initial=0)) for episode in episodes)
        return {"kind": "discrete", "n": most + 1, "start": 0, **facts}
    if first.dtype.kind != "f":
        raise DataError("ENV_SPACE", "actions must be integers, or floats", found=facts)
    low = np.minimum(-1.0, np.min([episode.action.min(axis=0, initial=-1.0) for episode in episodes], axis=0))
    high = np.maximum(1.0, np.max([episode.action.max(axis=0, initial=1.0) for episode in episodes], axis=0))
    return {"kind": "box", **facts, "low": low.astype(float).tolist(), "high": high.astype(float).tolist()}


def _exported(columns: Mapping[str, np.ndarray], where: object) -> Iterator[Episode]:
    lengths = np.asarray(columns["lengths"], np.int64)
    if int((lengths + 1).sum()) != len(columns["obs"]) or any(len(columns[name]) != len(lengths) for name in OWN):
        what = "the episodes' lengths are not those of its rows"
        raise DataError(
            "EPISODES_FILE", what, expected=int((lengths + 1).sum()), found=len(columns["obs"]), where=where
        )
    begin = 0
    for number, length in enumerate(lengths.tolist()):
        yield Episode(
            obs=columns["obs"][begin : begin + length + 1],
            action=columns["actions"][begin : begin + length],
            reward=columns["rewards"][begin : begin + length].astype(np.float64),
            terminated=bool(columns["terminated"][number]),
            truncated=bool(columns["truncated"][number]),
            seed=int(columns["seeds"][number]),
            source=str(columns["sources"][number]),
        )
        begin += length + 1


def _foreign(
    columns: Mapping[str, np.ndarray], begin: int, end: int, ended: bool, reward_at: str, where: str
) -> Episode | None:
    obs, action = columns["obs"][begin:end], columns["actions"][begin:end]
    reward = np.asarray(columns["rewards"][begin:end]).reshape(-1).astype(np.float64)
    seen = reward_at == "arrival"
    if reward_at == "action" and "next_obs" in columns:
        obs, seen = np.concatenate([obs, columns["next_obs"][end - 1 : end]]), True
        action, reward = _steps(action), reward
    elif reward_at == "action":
        action, reward = _steps(action[:-1]), reward[:-1]
    else:
        action, reward = _steps(action[:-1]), reward[1:]
    if not len(reward):
        return None
    return Episode(
        obs=obs, action=action, reward=reward, terminated=ended and seen, truncated=not (ended and seen), source=where
    )


def _steps(action: np.ndarray) -> np.ndarray:
    """Integer actions [L, 1] are [L]: the shape of a discrete action."""
    if action.dtype.kind in "iu":
        return action.reshape(len(action), *action.shape[2:] if action.shape[1:2] == (1,) else action.shape[1:]).astype(
            np.int64
        )
    return action


def _column(column: pa.ChunkedArray, shape: list[int] | None) -> np.ndarray:
    array = column.combine_chunks()
    if pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type) or pa.types.is_large_list(array.type):
        flat = array.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(array), *(shape if shape is not None else [-1]))
    values = array.to_numpy(zero_copy_only=False)
    return values.reshape(len(array), *shape) if shape else values


def _shapes(metadata: Mapping[bytes, bytes]) -> dict[str, list[int]]:
    return json.loads(metadata.get(b"stemma.shapes", b"{}"))


def _per_episode(metadata: Mapping[bytes, bytes]) -> dict[str, np.ndarray]:
    return {name: np.array(values) for name, values in json.loads(metadata.get(b"stemma.episodes", b"{}")).items()}


def _seed(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1
