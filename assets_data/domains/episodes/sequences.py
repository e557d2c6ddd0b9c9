"""The sequences stage: every training sequence of all slices as one row of an index. Copies no step.

An episode of L steps has S = max(1, L + 2 - T) valid starts for sequences of T of its L + 1 rows. They are cut into
n = ceil(S / stride) bins [bS//n, (b+1)S//n); each bin is one row, and an epoch draws one start from it. So every row of
every episode is seen, starts are uniform, and a sequence never leaves its episode: a short one is padded and masked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from assets_data.domains.episodes.config import EpisodesConfig, SequencesConfig
from assets_data.domains.episodes.read import SPLITS
from assets_data.domains.episodes.spaces import shared_space
from assets_data.domains.episodes.split import assign_splits, episode_keys, first_copies, require_enough
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, mix64, read_sections

KIND = "episodes/sequences"
SECTIONS = ("split", "sequences")


def make_sequences(
    store: Store, raw_slice: Mapping[str, Snapshot], statistics: Snapshot, config: EpisodesConfig
) -> Snapshot:
    """Publish (or reuse) ``train.arrow``, ``validation.arrow``, ``test.arrow`` and ``layout.json``.

    Raises DataError EPISODES_TOO_FEW, SPACES_DIFFER, and STATISTICS_SPACE where the statistics are of another space.
    """
    slices = {name: raw_slice[name] for name in sorted(raw_slice)}
    return store.run_stage(
        name=KIND,
        module=__name__,
        config=read_sections(config, SECTIONS),
        arguments={"slices": list(slices)},
        parents={"raw_slice": list(slices.values()), "statistics": statistics},
        build=lambda writer: _build(writer, slices, statistics, config),
    )


def bins(rows: int, config: SequencesConfig) -> np.ndarray:
    """int64[n, 2]: ``[low, high)`` of every sequence of an episode of so many rows (L + 1)."""
    starts = max(1, rows + 1 - config.length)
    count = -(-starts // config.stride)
    edges = np.arange(count + 1) * starts // count
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _build(
    writer: SnapshotWriter, slices: Mapping[str, Snapshot], statistics: Snapshot, config: EpisodesConfig
) -> None:
    space = shared_space(slices)
    if (found := statistics.read_json("statistics.json")["space"]) != space:
        action = "materialise episodes/statistics again"
        raise DataError("STATISTICS_SPACE", "statistics of another space", expected=space, found=found, action=action)
    first, counts = first_copies(slices), Counter[str]()
    parts: dict[str, list[pa.Table]] = {split: [] for split in SPLITS}
    records: list[str] = []
    for number, (name, snapshot) in enumerate(slices.items()):
        keys = episode_keys(snapshot)
        splits = assign_splits(keys, config.split)
        counts.update(splits[first[name]].tolist())
        table = snapshot.table("episodes.arrow")
        records += table.filter(pa.array(first[name]))["record_id"].to_pylist()
        for split in SPLITS:
            chosen = np.flatnonzero(first[name] & (splits == split))
            parts[split].append(_rows(table.take(chosen), chosen, keys[chosen], number, config.sequences))
    require_enough(counts, config.split)
    for split in SPLITS:
        table = pa.concat_tables(parts[split]).combine_chunks()
        writer.write_table(f"{split}.arrow", table)
        writer.splits[split] = table.num_rows
    layout = {
        "length": config.sequences.length,
        "stride": config.sequences.stride,
        "slices": [{"name": name, "id": snapshot.id} for name, snapshot in slices.items()],
        "statistics": statistics.id,
        "space": space,
        "episodes": dict(counts),
    }
    writer.write_json("layout.json", layout)
    writer.records(records)
    writer.stats |= {"episodes": len(records), "rows": sum(writer.splits.values())}


def _rows(episodes: pa.Table, numbers: np.ndarray, keys: np.ndarray, slice_: int, config: SequencesConfig) -> pa.Table:
    """One row per bin of these episodes, whose row numbers in their slice are ``numbers``."""
    rows_E = episodes["length"].to_numpy() + 1
    cut = [bins(int(rows), config) for rows in rows_E]
    counts = np.array([len(found) for found in cut], np.int64)
    spread = np.repeat(np.arange(len(cut)), counts)
    place = np.arange(len(spread)) - np.repeat(np.cumsum(counts) - counts, counts)
    ranges = np.concatenate([np.empty((0, 2), np.int64), *cut])
    row_keys = np.empty(len(spread), np.uint64)
    for number in np.unique(place):
        chosen = place == number
        row_keys[chosen] = mix64(0, f"window/{number}", keys[spread[chosen]])
    return pa.table(
        {
            "row_key": row_keys,
            "record_id": episodes["record_id"].combine_chunks().take(pa.array(spread, pa.int64())),
            "slice": np.full(len(spread), slice_, np.int32),
            "episode": numbers[spread].astype(np.int64),
            "begin": episodes["begin"].to_numpy()[spread],
            "rows": rows_E[spread],
            "terminated": episodes["terminated"].to_numpy(zero_copy_only=False)[spread],
            "low": ranges[:, 0],
            "high": ranges[:, 1],
            "length": np.minimum(rows_E, config.length)[spread],
        }
    )
