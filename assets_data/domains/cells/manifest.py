"""The dataset_manifest stage: one id over the vocabulary and every dataset's matrix; what a recipe trains on.

Promises a group in every split and none in two, nor a record or a content. Copies no data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from assets_data.documents import read_layout
from assets_data.domains.cells.checks import split_overlaps
from assets_data.domains.cells.read import SPLITS, Layout
from assets_data.finding import Finding
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store


def make_dataset_manifest(store: Store, matrix: Mapping[str, Snapshot], vocabulary: Snapshot) -> Snapshot:
    """Publish (or reuse) ``manifest.json``.

    Raises DataError CELL_SPLIT where a split has no group, MANIFEST_VOCABULARY when a dataset was made with another
    vocabulary, and MANIFEST_CHECK_FAILED when something is in two splits.
    """
    slices = {name: matrix[name] for name in sorted(matrix)}
    return store.run_stage(
        name="cells/dataset_manifest",
        module=__name__,
        config={},
        arguments={"slices": list(slices)},
        parents={"matrix": list(slices.values()), "vocabulary": vocabulary},
        build=lambda writer: _build(writer, slices, vocabulary),
    )


def _build(writer: SnapshotWriter, slices: Mapping[str, Snapshot], vocabulary: Snapshot) -> None:
    layouts = {name: read_layout(snapshot, Layout) for name, snapshot in slices.items()}
    if others := [name for name, layout in layouts.items() if layout["vocabulary"] != vocabulary.id]:
        what, action = "datasets were made with another vocabulary", "materialise cells/matrix of them again"
        raise DataError("MANIFEST_VOCABULARY", what, expected=vocabulary.id, found=others, action=action)
    groups = {split: _groups(slices, split) for split in SPLITS}
    by_cell = any(layout["split_by"] == "cell" for layout in layouts.values())
    if empty := [split for split, found in groups.items() if not found]:
        what = f"no donor (else batch, else dataset) is in the splits {empty}"
        action = "choose another cells.split.seed or larger shares; cells.split.by=cell splits cells of one donor"
        raise DataError("CELL_SPLIT", what, expected="one in each", found=_few(groups), action=action)
    if overlaps := split_overlaps(slices.values()):
        what, action = "what must stay together is in two splits", "do not train on this data; look at cells.split"
        raise DataError("MANIFEST_CHECK_FAILED", what, expected=0, found=overlaps[:5], action=action)
    rows = sum((Counter(snapshot.content["splits"]) for snapshot in slices.values()), Counter[str]())
    document: dict[str, Any] = {
        "members": {"vocabulary": vocabulary.id, "matrix": {name: s.id for name, s in slices.items()}},
        "splits": {"matrix": dict(rows)},
        "groups": {split: len(found) for split, found in groups.items()},
        "split_by": "cell" if by_cell else "group",
        "licence": "; ".join(sorted({layout["licence"] for layout in layouts.values()} - {""})),
        "origin": "; ".join(sorted({layout["origin"] for layout in layouts.values()} - {""})),
        "checks": [Finding(check="split_overlaps", rows=sum(rows.values())).to_dict()],
    }
    writer.write_json("manifest.json", document)
    writer.stats |= {"slices": len(slices), "rows": sum(rows.values()), "groups": sum(map(len, groups.values()))}


def _groups(slices: Mapping[str, Snapshot], split: str) -> list[str]:
    return sorted({g for s in slices.values() for g in s.table(f"{split}.arrow")["group_id"].unique().to_pylist()})


def _few(groups: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {split: names[:8] for split, names in groups.items()}
