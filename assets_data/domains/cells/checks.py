"""Promises about published cells that no schema of one table can say."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.documents import read_layout, read_manifest
from assets_data.domains.cells.read import SPLITS, Layout
from assets_data.lineage import Snapshot, Store
from assets_data.stage import Outcome


def split_overlaps(matrices: Iterable[Snapshot]) -> list[dict[str, Any]]:
    """Groups (where the split goes by group), records and contents that are in more than one split, over all slices."""
    matrices = list(matrices)
    by_cell = any(read_layout(snapshot, Layout)["split_by"] == "cell" for snapshot in matrices)
    found = []
    for column in ("record_id", "content_id", *(() if by_cell else ("group_id",))):
        held = {split: _distinct(matrices, split, column) for split in SPLITS}
        for one, other in itertools.combinations(SPLITS, 2):
            both = np.intersect1d(held[one], held[other])
            found += [{"column": column, "name": str(name), "splits": [one, other]} for name in both[:5]]
    return found


def broken_rows(matrix: Snapshot, genes: int) -> list[dict[str, Any]]:
    """Cells whose genes are out of range or not unique, or whose counts exceed their total."""
    found = []
    for split in SPLITS:
        for number, batch in enumerate(matrix.table(f"{split}.arrow").to_batches()):
            lists, counts = batch.column("genes"), batch.column("counts")
            offsets = lists.offsets.to_numpy() - lists.offsets.to_numpy()[0]
            place, count = lists.flatten().to_numpy(), counts.flatten().to_numpy()
            row = np.repeat(np.arange(len(batch)), np.diff(offsets))
            sums = np.bincount(row, count, minlength=len(batch)) + batch.column("outside").to_numpy()
            wrong = {
                "out_of_range": row[place >= genes],
                "twice": row[_repeated(row.astype(np.int64) * (genes + 1) + np.minimum(place, genes))],
                "no_count": row[count == 0],
                "above_total": np.flatnonzero(sums > batch.column("total").to_numpy()),
            }
            for name, rows in wrong.items():
                found += [{"split": split, "batch": number, "row": int(r), "check": name} for r in np.unique(rows)[:5]]
    return found


def check_splits(store: Store, manifest: Snapshot) -> Outcome:
    """:func:`split_overlaps` as a check of a dataset manifest."""
    found = split_overlaps(_matrices(store, manifest).values())
    return Outcome(passed=not found, facts={"in_two_splits": len(found)}, failures=found)


def check_rows(store: Store, matrix: Snapshot) -> Outcome:
    """:func:`broken_rows` as a check of a matrix."""
    genes = store.snapshot(read_layout(matrix, Layout)["vocabulary"]).table("genes.parquet").num_rows
    found = broken_rows(matrix, genes)
    return Outcome(passed=not found, facts={"broken": len(found)}, failures=found)


def _matrices(store: Store, manifest: Snapshot) -> Mapping[str, Snapshot]:
    members = read_manifest(manifest)["members"]["matrix"]
    return {name: store.snapshot(key) for name, key in members.items()}


def _distinct(matrices: list[Snapshot], split: str, column: str) -> np.ndarray:
    parts = [snapshot.table(f"{split}.arrow")[column].unique() for snapshot in matrices]
    return np.unique(np.concatenate([np.empty(0, "U1"), *(_text(part) for part in parts)]))


def _text(part: pa.Array) -> np.ndarray:
    return np.array(part.to_pylist(), "U") if len(part) else np.empty(0, "U1")


def _repeated(keys: np.ndarray) -> np.ndarray:
    """bool[n]: keys that occur more than once."""
    _, inverse, times = np.unique(keys, return_inverse=True, return_counts=True)
    return times[inverse] > 1
