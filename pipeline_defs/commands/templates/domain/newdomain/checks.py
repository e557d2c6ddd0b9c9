"""Promises about published rows that no schema of one table can say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from assets_data.documents import read_layout, read_manifest
from assets_data.lineage import Snapshot, Store
from assets_data.stage import Outcome
from newdomain.read import SPLITS, Layout


def split_overlaps(rows: Iterable[Snapshot]) -> list[dict[str, Any]]:
    """Records in more than one split, over all slices; and groups, where the rows were split by group."""
    seen: dict[tuple[str, str], set[str]] = {}
    for snapshot in rows:
        for split in SPLITS:
            table = snapshot.table(f"{split}.arrow")
            for column in _kept_together(snapshot):
                for name in set(table[column].to_pylist()):
                    seen.setdefault((column, name), set()).add(split)
    return [{column: name, "splits": sorted(found)} for (column, name), found in seen.items() if len(found) > 1]


def check_splits(store: Store, manifest: Snapshot) -> Outcome:
    """:func:`split_overlaps` as a check of a dataset manifest."""
    document = read_manifest(manifest)
    found = split_overlaps(store.snapshot(member) for member in document["members"]["rows"].values())
    return Outcome(passed=not found, facts={"in_two_splits": len(found)}, failures=found)


def _kept_together(snapshot: Snapshot) -> list[str]:
    return ["record_id"] if read_layout(snapshot, Layout)["split_by"] == "record" else ["record_id", "group_id"]
