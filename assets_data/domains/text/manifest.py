"""The dataset_manifest stage: one id over the tokenizer and every slice's triples.

What a recipe trains on. Promises that the leakage checks ran over all it names and found nothing. Copies no data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from assets_data.documents import read_layout
from assets_data.domains.text.checks import Finding, label_leaks, misplaced_rows, split_overlaps
from assets_data.domains.text.read import TriplesLayout
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store


def make_dataset_manifest(store: Store, triples: Mapping[str, Snapshot], tokenizer: Snapshot) -> Snapshot:
    """Publish (or reuse) the manifest of ``triples`` (slice name -> snapshot), as ``manifest.json``.

    Raises DataError MANIFEST_EMPTY when no slice has a training row, MANIFEST_TOKENIZER when a slice was made with
    another tokenizer, and MANIFEST_CHECK_FAILED when a leakage check finds anything.
    """
    slices = {name: triples[name] for name in sorted(triples)}
    return store.run_stage(
        name="text/dataset_manifest",
        module=__name__,
        config={},
        arguments={"slices": list(slices)},
        parents={"triples": list(slices.values()), "tokenizer": tokenizer},
        build=lambda writer: _build(writer, slices, tokenizer),
    )


def _build(writer: SnapshotWriter, slices: dict[str, Snapshot], tokenizer: Snapshot) -> None:
    if not any(snapshot.content["splits"]["train"] for snapshot in slices.values()):
        what = "a dataset needs at least one training row"
        found = {name: dict(snapshot.stats.get("dropped", {})) for name, snapshot in slices.items()}
        raise DataError("MANIFEST_EMPTY", what, found=found, action="look at what was dropped, then at text.documents")
    layouts = {name: read_layout(snapshot, TriplesLayout) for name, snapshot in slices.items()}
    _require_tokenizer(layouts, tokenizer)
    checks = _run_checks(slices)
    rows = sum((Counter(snapshot.content["splits"]) for snapshot in slices.values()), Counter[str]())
    members = {name: snapshot.id for name, snapshot in slices.items()}
    document = {
        "members": {"tokenizer": tokenizer.id, "triples": members},
        "splits": {"triples": dict(rows)},
        "licence": _distinct(layouts, "licence"),
        "origin": _distinct(layouts, "origin"),
        "checks": checks,
    }
    writer.write_json("manifest.json", document)
    writer.stats |= {"slices": len(slices), "rows": sum(rows.values()), "checks": len(checks)}


def _require_tokenizer(layouts: Mapping[str, Mapping[str, Any]], tokenizer: Snapshot) -> None:
    others = {name: layout["tokenizer"] for name, layout in layouts.items() if layout["tokenizer"] != tokenizer.id}
    if others:
        what, action = "slices were made with another tokenizer", "materialise text/triples of these slices again"
        raise DataError("MANIFEST_TOKENIZER", what, expected=tokenizer.id, found=others, action=action)


def _run_checks(slices: Mapping[str, Snapshot]) -> list[dict[str, Any]]:
    """Every check's outcome, by slice where it looks at one slice. Raises DataError for the first that fails."""
    outcomes = []
    for name, snapshot in slices.items():
        outcomes += [{"slice": name, **_require(check(snapshot), name)} for check in (label_leaks, misplaced_rows)]
    return [*outcomes, {"slice": "*", **_require(split_overlaps(list(slices.values())), "all slices")}]


def _require(finding: Finding, where: str) -> dict[str, Any]:
    if not finding.passed:
        raise DataError(
            "MANIFEST_CHECK_FAILED",
            f"{finding.check} found {finding.count:,} of {finding.rows:,}",
            expected=0,
            found=list(finding.examples),
            where=where,
            action="do not train on this data; make the triples again",
        )
    return finding.to_dict()


def _distinct(layouts: Mapping[str, Mapping[str, Any]], note: str) -> str:
    return "; ".join(sorted({layout[note] for layout in layouts.values()}))
