"""The dataset_manifest stage: one id over reference, split, windows, trajectories and every slice of alleles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assets_data.documents import read_layout
from assets_data.domains.genome.checks import CHECKS, Finding
from assets_data.domains.genome.read import Layout
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store


def make_dataset_manifest(
    store: Store,
    reference: Snapshot,
    split: Snapshot,
    windows: Snapshot,
    trajectories: Snapshot,
    variants: Mapping[str, Snapshot],
) -> Snapshot:
    """Publish (or reuse) ``manifest.json``: members, rows per split, origin and licence, and what the checks counted.

    Raises DataError MANIFEST_CHECK_FAILED when a held-out base or a labelled allele is trained on, or a window is near
    one of another split.
    """
    slices = {name: variants[name] for name in sorted(variants)}
    single = {"reference": reference, "split": split, "windows": windows, "trajectories": trajectories}
    return store.run_stage(
        name="genome/dataset_manifest",
        module=__name__,
        config={},
        arguments={"slices": list(slices)},
        parents={**single, "variants": list(slices.values())},
        build=lambda writer: _build(writer, single, slices),
    )


def _build(writer: SnapshotWriter, single: Mapping[str, Snapshot], slices: Mapping[str, Snapshot]) -> None:
    outcomes = [_required(check(single, slices)) for check in CHECKS]
    layouts = [read_layout(snapshot, Layout) for snapshot in slices.values()]
    splits = {name: dict(single[name].content["splits"]) for name in ("windows", "trajectories")}
    document: dict[str, Any] = {
        "members": {name: s.id for name, s in (*single.items(), *((f"variants/{n}", s) for n, s in slices.items()))},
        "splits": splits,
        "licence": "; ".join(sorted({layout["licence"] for layout in layouts})),
        "origin": "; ".join(sorted({layout["origin"] for layout in layouts})),
        "checks": outcomes,
    }
    writer.write_json("manifest.json", document)
    writer.stats |= {"slices": len(slices), **splits, "checks": len(outcomes)}


def _required(finding: Finding) -> dict[str, Any]:
    if finding.count:
        what = f"{finding.check}: {finding.count:,} of {finding.rows:,}"
        action = "do not train on this data; split it otherwise"
        raise DataError("MANIFEST_CHECK_FAILED", what, expected=0, found=list(finding.examples), action=action)
    return finding.to_dict()
