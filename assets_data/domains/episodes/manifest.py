"""The dataset_manifest stage: one id over the sequences and the pinned statistics; what a recipe trains on."""

from __future__ import annotations

from assets_data.documents import read_layout
from assets_data.domains.episodes.checks import split_overlaps
from assets_data.domains.episodes.read import Layout
from assets_data.finding import Finding
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store


def make_dataset_manifest(store: Store, sequences: Snapshot, statistics: Snapshot) -> Snapshot:
    """Publish (or reuse) ``manifest.json``: members, rows per split, checks. Copies no data.

    Raises DataError MANIFEST_EMPTY without a training row, MANIFEST_STATISTICS when the sequences were made with
    others, and MANIFEST_CHECK_FAILED when an episode is in two splits.
    """
    return store.run_stage(
        name="episodes/dataset_manifest",
        module=__name__,
        config={},
        parents={"sequences": sequences, "statistics": statistics},
        build=lambda writer: _build(writer, sequences, statistics),
    )


def _build(writer: SnapshotWriter, sequences: Snapshot, statistics: Snapshot) -> None:
    layout, counts = read_layout(sequences, Layout), dict(sequences.content["splits"])
    if not counts["train"]:
        raise DataError("MANIFEST_EMPTY", "a dataset needs at least one training row", found=counts)
    if layout["statistics"] != statistics.id:
        what, action = "the sequences were made with other statistics", "materialise episodes/sequences again"
        raise DataError("MANIFEST_STATISTICS", what, expected=statistics.id, found=layout["statistics"], action=action)
    if overlaps := split_overlaps(sequences):
        what, action = "episodes are in two splits", "materialise episodes/sequences again"
        raise DataError("MANIFEST_CHECK_FAILED", what, expected=0, found=overlaps[:5], action=action)
    slices = sorted(entry["name"] for entry in layout["slices"])
    checks = [Finding(check="split_overlaps", rows=sum(counts.values())).to_dict()]
    writer.write_json(
        "manifest.json",
        {
            "members": {"sequences": sequences.id, "statistics": statistics.id},  # its parents, and nothing else
            "slices": slices,
            "splits": {"sequences": counts, "episodes": layout["episodes"]},
            "space": layout["space"],
            "checks": checks,
        },
    )
    writer.stats |= {"slices": len(slices), "rows": sum(counts.values()), "episodes": sum(layout["episodes"].values())}
