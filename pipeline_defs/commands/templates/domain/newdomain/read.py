"""Reading what the domain published. Recipes import this: numpy, pyarrow and the lineage room only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pyarrow as pa

from assets_data.documents import read_layout, read_manifest
from assets_data.lineage import Snapshot, Store

SPLITS = ("train", "validation", "test")


class Layout(TypedDict):
    """What a reader of the rows must know: names of the features by place, of the target, what scaled them."""

    features: list[str]
    target: str
    scaler: str
    split_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one split, slice after slice in the manifest's order."""

    row_keys: np.ndarray
    """uint64[N]: the order's keys."""
    features_ND: np.ndarray
    """float32[N, D], scaled."""
    target_N: np.ndarray
    """float32[N], scaled."""
    records: Sequence[str]
    """Record ids, 64 hex characters each."""


def open_slices(store: Store, manifest: Snapshot) -> dict[str, Snapshot]:
    """Slice name -> verified rows. Raises IntegrityError when a member is gone or changed."""
    members: Mapping[str, str] = read_manifest(manifest)["members"]["rows"]
    return {name: store.snapshot(member) for name, member in members.items()}


def open_rows(slices: Mapping[str, Snapshot], split: str) -> Rows:
    """One split of all slices."""
    table = pa.concat_tables([snapshot.table(f"{split}.arrow") for snapshot in slices.values()])
    width = max((len(read_layout(snapshot, Layout)["features"]) for snapshot in slices.values()), default=0)
    features = table["features"].combine_chunks()
    return Rows(
        row_keys=table["row_key"].to_numpy(),
        features_ND=features.flatten().to_numpy().reshape(-1, width),
        target_N=table["target"].to_numpy(),
        records=table["record_id"].to_pylist(),
    )
