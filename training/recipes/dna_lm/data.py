"""Windows to train on, with the held-out ones beside: ``validation`` is watched, ``test`` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assets_data.domains.genome.read import N, Windows, open_members, open_windows
from assets_data.lineage import Snapshot, Store, uniform01
from training.data import TableRef
from training.recipes.dna_lm.config import MaskConfig


@dataclass(frozen=True, kw_only=True)
class WindowData(Windows):
    """The training windows."""

    members: Mapping[str, str]
    tables: Sequence[TableRef]
    validation: Windows
    test: Windows

    @property
    def items_per_row(self) -> float:
        """Bases."""
        return float(self.codes_RW.shape[1])


def open_data(store: Store, manifest: Snapshot) -> WindowData:
    """The windows that the manifest names, verified."""
    windows = open_members(store, manifest)["windows"]
    train = open_windows(windows, "train")
    return WindowData(
        row_keys=train.row_keys,
        codes_RW=train.codes_RW,
        place_R=train.place_R,
        members={"windows": windows.id},
        tables=[TableRef(windows.id, "train.arrow")],
        validation=open_windows(windows, "validation"),
        test=open_windows(windows, "test"),
    )


def masked(
    data: Windows, config: MaskConfig, seed: int, rows: np.ndarray, epochs: np.ndarray, mask: int
) -> tuple[np.ndarray, np.ndarray]:
    """``(shown, labels)``, int64[B, T]: keyed by (seed, epoch, row key, place). A label is -100 where nothing is asked.

    A row of which nothing would be asked is asked for its middle base; N is never asked for.
    """
    codes_BT = data.codes_RW[rows].astype(np.int64)
    asked, how, base = (_draws(data, seed, f"mask/{name}", rows, epochs) for name in ("asked", "how", "base"))
    asked_BT = (asked < config.share) & (codes_BT < N)
    asked_BT[~asked_BT.any(1), codes_BT.shape[1] // 2] = True
    asked_BT &= codes_BT < N
    hidden_BT = asked_BT & (how < config.masked)
    random_BT = asked_BT & ~hidden_BT & (how < config.masked + config.random)
    shown_BT = np.where(hidden_BT, mask, np.where(random_BT, (base * 4).astype(np.int64), codes_BT))
    return shown_BT, np.where(asked_BT, codes_BT, -100)


def _draws(data: Windows, seed: int, stream: str, rows: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    """float64[B, T] in [0, 1)."""
    places = np.arange(data.codes_RW.shape[1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    found = np.empty((len(rows), len(places)))
    for epoch in np.unique(epochs):
        mine = epochs == epoch
        keys = data.row_keys[rows[mine]][:, None] + places
        found[mine] = uniform01(seed, f"{stream}/{epoch}", keys.ravel()).reshape(keys.shape)
    return found
