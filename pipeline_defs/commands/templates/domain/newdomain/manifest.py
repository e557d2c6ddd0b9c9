"""The dataset_manifest stage: one id over the scaler and every slice's rows; what a recipe trains on. Copies no data.

Promises that no group, or no record where the split goes by record, is in two splits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from assets_data.documents import read_layout
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store
from newdomain.checks import split_overlaps
from newdomain.read import Layout


def make_dataset_manifest(store: Store, rows: Mapping[str, Snapshot], scaler: Snapshot) -> Snapshot:
    """Publish (or reuse) ``manifest.json``: members, rows per split, checks.

    Raises DataError MANIFEST_EMPTY without a training row, MANIFEST_SCALER when a slice was scaled in another way, and
    MANIFEST_CHECK_FAILED when something is in two splits.
    """
    slices = {name: rows[name] for name in sorted(rows)}
    return store.run_stage(
        name="newdomain/dataset_manifest",
        module=__name__,
        config={},
        arguments={"slices": list(slices)},
        parents={"rows": list(slices.values()), "scaler": scaler},
        build=lambda writer: _build(writer, slices, scaler),
    )


def _build(writer: SnapshotWriter, slices: Mapping[str, Snapshot], scaler: Snapshot) -> None:
    counts = sum((Counter(snapshot.content["splits"]) for snapshot in slices.values()), Counter[str]())
    if not counts["train"]:
        raise DataError("MANIFEST_EMPTY", "a dataset needs at least one training row", found=dict(counts))
    layouts = {name: read_layout(snapshot, Layout) for name, snapshot in slices.items()}
    if others := [name for name, layout in layouts.items() if layout["scaler"] != scaler.id]:
        what, action = "slices were made with another scaler", "materialise newdomain/rows of them again"
        raise DataError("MANIFEST_SCALER", what, expected=scaler.id, found=others, action=action)
    if overlaps := split_overlaps(slices.values()):
        what, action = "records that must stay together are in two splits", "make the rows again"
        raise DataError("MANIFEST_CHECK_FAILED", what, expected=0, found=overlaps[:5], action=action)
    members = {"scaler": scaler.id, "rows": {name: snapshot.id for name, snapshot in slices.items()}}
    checks = [{"check": "split_overlaps", "rows": sum(counts.values()), "count": len(overlaps), "passed": True}]
    writer.write_json("manifest.json", {"members": members, "splits": {"rows": dict(counts)}, "checks": checks})
    writer.stats |= {"slices": len(slices), "rows": sum(counts.values())}
