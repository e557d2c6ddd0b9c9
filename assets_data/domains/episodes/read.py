"""Reading what the domain published: steps as views of the memory map, and sequences by row and epoch.

Needs numpy, pyarrow and the lineage room only, so that training can use it on a bare machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypedDict

import numpy as np

from assets_data.documents import read_layout, read_manifest
from assets_data.lineage import Snapshot, Store, uniform01

SPLITS = ("train", "validation", "test")


class Layout(TypedDict):
    """What a reader of sequences must know: rows of each, bases, the slices they point into, what scales them."""

    length: int
    stride: int
    slices: list[dict[str, str]]
    statistics: str
    space: dict[str, Any]
    episodes: dict[str, int]


class Steps(NamedTuple):
    """The rows of one slice, episode after episode, L + 1 rows each: views of the map, dtypes as they were stored."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray


class Sequences(NamedTuple):
    """B sequences of T rows. Row t: what was seen, the action taken there, the reward it earned. Rows at which ``mask``
    is false lie behind the end of their episode and repeat its last row. ``last`` marks an episode's last row, where no
    action was taken; ``terminated``, that the environment ended it there (a cut is no end).
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    mask: np.ndarray
    last: np.ndarray
    terminated: np.ndarray


def open_steps(raw_slice: Snapshot) -> Steps:
    """The steps of a published slice, without a copy."""
    space, table = raw_slice.read_json("space.json"), raw_slice.table("steps.arrow")
    obs, action = (_view(table[name], space[name]["shape"]) for name in ("obs", "action"))
    return Steps(obs, action, table["reward"].combine_chunks().to_numpy(zero_copy_only=True))


@dataclass(frozen=True, kw_only=True)
class SequenceRows:
    """The training rows of one split: sequences of ``length`` rows, each inside one episode."""

    row_keys: np.ndarray
    """uint64[N]: the order's keys."""
    slice_N: np.ndarray
    begin_N: np.ndarray
    """The first row of the episode in its slice's steps."""
    rows_N: np.ndarray
    """L + 1."""
    low_N: np.ndarray
    high_N: np.ndarray
    """A sequence starts at a row of its episode in [low, high)."""
    terminated_N: np.ndarray
    steps: Sequence[Steps]
    length: int

    def __len__(self) -> int:
        return len(self.row_keys)

    @property
    def action_size(self) -> int:
        """Numbers of an action; 1 of a discrete one."""
        return int(np.prod(self.steps[0].action.shape[1:], dtype=int))

    @cached_property
    def items(self) -> float:
        """Mean rows of a sequence that are no padding."""
        return float(np.minimum(self.rows_N, self.length).mean()) if len(self) else 0.0

    def starts(self, rows: np.ndarray, epochs: np.ndarray, seed: int) -> np.ndarray:
        """int64[B]: where each sequence starts in that epoch: drawn by (seed, epoch, row key) from its range."""
        drawn = np.empty(len(rows))
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            drawn[chosen] = uniform01(seed, f"start/{epoch}", self.row_keys[rows[chosen]])
        low, high = self.low_N[rows], self.high_N[rows]
        return low + np.floor(drawn * (high - low)).astype(np.int64)

    def gather(self, rows: np.ndarray, starts: np.ndarray, length: int = 0) -> Sequences:
        """Sequences of ``length`` rows (as many as the layout says, without one): one gather on the map per slice."""
        length = length or self.length
        place_BT = starts[:, None] + np.arange(length)
        end_B = self.rows_N[rows] - 1
        mask_BT = place_BT <= end_B[:, None]
        last_BT = place_BT == end_B[:, None]
        at_BT = self.begin_N[rows][:, None] + np.minimum(place_BT, end_B[:, None])
        obs, action, reward = self._take(self.slice_N[rows], at_BT)
        ended_BT = last_BT & self.terminated_N[rows][:, None]
        return Sequences(obs, action, reward, mask_BT, last_BT, ended_BT)

    def _take(self, slice_B: np.ndarray, at_BT: np.ndarray) -> Sequence[np.ndarray]:
        used = np.unique(slice_B)
        if len(used) == 1:
            return [column[at_BT] for column in self.steps[used[0]]]
        taken: list[np.ndarray] = []
        for columns in zip(*(self.steps[number] for number in used), strict=True):
            out = np.empty((*at_BT.shape, *columns[0].shape[1:]), columns[0].dtype)
            for number, column in zip(used, columns, strict=True):
                chosen = slice_B == number
                out[chosen] = column[at_BT[chosen]]
            taken.append(out)
        return taken


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """The whole episodes of one split, for measuring."""

    records: Sequence[str]
    slice_N: np.ndarray
    begin_N: np.ndarray
    length_N: np.ndarray
    """L: steps, one less than rows."""
    terminated_N: np.ndarray
    steps: Sequence[Steps]

    def __len__(self) -> int:
        return len(self.records)

    def obs(self, episode: int) -> np.ndarray:
        """[L+1, *O] of one episode."""
        begin = self.begin_N[episode]
        return self.steps[self.slice_N[episode]].obs[begin : begin + self.length_N[episode] + 1]

    def action(self, episode: int) -> np.ndarray:
        """[L, *A] of one episode."""
        begin = self.begin_N[episode]
        return self.steps[self.slice_N[episode]].action[begin : begin + self.length_N[episode]]

    def reward(self, episode: int) -> np.ndarray:
        """float64[L] of one episode."""
        begin = self.begin_N[episode]
        return self.steps[self.slice_N[episode]].reward[begin : begin + self.length_N[episode]]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A dataset as its manifest names it: the sequences' snapshot with its layout, pinned statistics, all slices."""

    sequences: Snapshot
    statistics: Snapshot
    layout: Mapping[str, Any]
    slices: Mapping[str, Snapshot]
    steps: Sequence[Steps]

    @property
    def space(self) -> Mapping[str, Any]:
        """What observations and actions are; environment and sensor, None where nobody knows them."""
        return self.layout["space"]

    def rows(self, split: str) -> SequenceRows:
        """The sequences of a split."""
        table = self.sequences.table(f"{split}.arrow")
        columns = {name: table[name].to_numpy() for name in table.column_names if name != "record_id"}
        found = {name: columns[name] for name in ("begin", "rows", "low", "high", "terminated", "slice")}
        return SequenceRows(
            row_keys=columns["row_key"],
            steps=self.steps,
            length=self.layout["length"],
            **{f"{name}_N": values for name, values in found.items()},
        )

    def episodes(self, split: str) -> Episodes:
        """The whole episodes of a split, once each, in the order of the sequences."""
        table = self.sequences.table(f"{split}.arrow")
        records = table["record_id"].to_pylist()
        first = np.array(list(dict(zip(reversed(records), reversed(range(len(records))), strict=True)).values()), int)
        first = np.sort(first)
        columns = {name: table[name].to_numpy()[first] for name in ("slice", "begin", "rows", "terminated")}
        return Episodes(
            records=[records[row] for row in first],
            slice_N=columns["slice"],
            begin_N=columns["begin"],
            length_N=columns["rows"] - 1,
            terminated_N=columns["terminated"],
            steps=self.steps,
        )

    def seeds(self) -> set[int]:
        """The reset seeds of every episode at hand; -1 is an unknown one."""
        return {seed for slice_ in self.slices.values() for seed in slice_.table("episodes.arrow")["seed"].to_pylist()}


def open_replay(store: Store, manifest: Snapshot) -> Replay:
    """Verified and memory-mapped. Raises IntegrityError when a member is gone or changed."""
    members = read_manifest(manifest)["members"]
    sequences, statistics = (store.snapshot(members[name]) for name in ("sequences", "statistics"))
    layout = read_layout(sequences, Layout)
    slices = {entry["name"]: store.snapshot(entry["id"]) for entry in layout["slices"]}
    steps = [open_steps(snapshot) for snapshot in slices.values()]
    return Replay(sequences=sequences, statistics=statistics, layout=layout, slices=slices, steps=steps)


def _view(column: Any, shape: Sequence[int]) -> np.ndarray:
    array = column.combine_chunks()
    values = array.values if hasattr(array, "values") else array
    width = array.type.list_size
    flat = values.to_numpy(zero_copy_only=True)[array.offset * width : (array.offset + len(array)) * width]
    return flat.reshape(len(array), *shape)
