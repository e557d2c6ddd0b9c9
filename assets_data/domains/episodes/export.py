"""A slice's episodes as plain files that others read, and back under the same record ids.

The columns ``obs``, ``actions``, ``rewards`` and ``dones`` have L + 1 rows per episode; its last row holds the last
observation, zeros, and ``dones`` = 1. Per episode beside them: ``lengths``, ``terminated``, ``truncated``, ``seeds``,
``sources``, so that nothing is guessed on the way back.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.domains.episodes.config import SourceConfig
from assets_data.domains.episodes.files import SPACE, read_npz, read_parquet
from assets_data.domains.episodes.raw_slice import KIND, fixed_lists, iter_episodes, make_raw_slice
from assets_data.domains.episodes.record import Episode
from assets_data.lineage import DataError, Snapshot, Store, from_dict

FORMATS = (".npz", ".parquet")


def export_episodes(raw_slice: Snapshot, path: Path) -> int:
    """Write a slice to a new .npz or .parquet file. Returns how many episodes.

    Raises DataError EPISODES_EXPORT for another kind, another ending, or a file that is there.
    """
    if raw_slice.kind != KIND or path.suffix not in FORMATS or path.exists():
        what = f"a {KIND} is exported to a new .npz or .parquet file"
        raise DataError("EPISODES_EXPORT", what, found=raw_slice.kind, where=path)
    episodes = list(iter_episodes(raw_slice))
    space = json.dumps(raw_slice.read_json("space.json"))
    if path.suffix == ".npz":
        write_npz(path, episodes, space)
    else:
        write_parquet(path, episodes, space)
    return len(episodes)


def import_episodes(store: Store, path: Path, label: str = "") -> Snapshot:
    """Publish a file as the slice of its name, and let that name stand for it. An export gives back the ids it had.

    It is read as any source of files is, so the file is what ``rebuild`` reads again. Raises DataError EPISODES_IMPORT
    for a file that is no export: rewards of those must be placed by ``episodes.raw_slice.reward_at``.
    """
    if path.suffix not in FORMATS:
        raise DataError("EPISODES_IMPORT", "not an export", expected=FORMATS, found=path.suffix, where=path)
    if "lengths" not in (read_npz(path) if path.suffix == ".npz" else read_parquet(path)):
        action = "read it as a source: episodes.raw_slice.source, root and reward_at"
        raise DataError("EPISODES_IMPORT", "not an export of episodes", where=path, action=action)
    source = path.suffix.removeprefix(".")
    config = from_dict(
        SourceConfig, {"source": source, "root": str(path.resolve().parent), "label": label, "reward_at": "action"}
    )
    name = f"{label}-{path.stem}" if label else path.stem
    snapshot = make_raw_slice(store, name, config)
    store.point(f"{KIND}/{name}", snapshot)
    return snapshot


def flat_columns(episodes: Sequence[Episode]) -> dict[str, np.ndarray]:
    """The columns by row and by episode, see above."""

    def rows(arrays: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.concatenate([a, np.zeros((1, *a.shape[1:]), a.dtype)]) for a in arrays])

    lengths = np.array([episode.length for episode in episodes], np.int64)
    dones = np.zeros(int((lengths + 1).sum()), np.float32)
    dones[np.cumsum(lengths + 1) - 1] = 1.0
    return {
        "obs": np.concatenate([episode.obs for episode in episodes]),
        "actions": rows(episode.action for episode in episodes),
        "rewards": rows(episode.reward for episode in episodes),
        "dones": dones,
        "lengths": lengths,
        "terminated": np.array([bool(episode.terminated) for episode in episodes]),
        "truncated": np.array([bool(episode.truncated) for episode in episodes]),
        "seeds": np.array([episode.seed for episode in episodes], np.int64),
        "sources": np.array([episode.source for episode in episodes], np.str_),
    }


def write_npz(path: Path, episodes: Sequence[Episode], space: str) -> None:
    """One .npz file without anything pickled in it."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {**flat_columns(episodes), SPACE: np.array(space)}
    np.savez_compressed(buffer, **arrays)
    path.write_bytes(buffer.getvalue())


def write_parquet(path: Path, episodes: Sequence[Episode], space: str) -> None:
    """One Parquet file; what is per episode lies in its metadata."""
    columns = flat_columns(episodes)
    by_row = {name: columns[name] for name in ("obs", "actions", "rewards", "dones")}
    arrays = {name: fixed_lists(array) if name in ("obs", "actions") else array for name, array in by_row.items()}
    per_episode = {name: array.tolist() for name, array in columns.items() if name not in by_row}
    shapes = {name: list(by_row[name].shape[1:]) for name in ("obs", "actions")}
    table = pa.table(arrays).replace_schema_metadata(
        {"stemma.shapes": json.dumps(shapes), "stemma.episodes": json.dumps(per_episode), SPACE: space}
    )
    pq.write_table(table, path, compression="zstd")
