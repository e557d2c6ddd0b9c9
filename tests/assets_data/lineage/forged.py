"""Receipts as somebody would forge them: every digest and name made to fit, and older schemas as they were written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, Store, canonical_json
from assets_data.lineage.receipts.byproducts import file_digests
from assets_data.lineage.receipts.receipt import made_digest

MANIFEST = "snapshot.json"


def forge(store: Store, snapshot: Snapshot, change: Callable[[Any], object]) -> Path:
    """The only receipt of a node changed, with ``snapshot.json``, the receipt's file entries, its name and all that
    points to it made to fit; ``change`` gets the predicate. The receipt's new path.
    """
    (path,) = store.receipts(snapshot.id)
    receipt = json.loads(path.read_bytes())
    change(receipt["predicate"])
    manifest = snapshot.path / MANIFEST
    document = json.loads(manifest.read_bytes())
    if "made" in document:
        manifest.write_bytes(canonical_json({**document, "made": made_digest(receipt["predicate"])}) + b"\n")
    name_files(receipt["predicate"], Snapshot.open(snapshot.path))
    return replace(store, path, canonical_json(receipt))


def name_files(predicate: Any, snapshot: Snapshot) -> None:
    """The receipt's file entries as they must be; of one that has none, none."""
    details = predicate["runDetails"]
    if any(entry["name"].startswith("file=") for entry in details["byproducts"]):
        kept = [entry for entry in details["byproducts"] if not entry["name"].startswith("file=")]
        named = [{"name": f"file={n}", "digest": {"sha256": d}} for n, d in file_digests(snapshot).items()]
        details["byproducts"] = [*kept, *named]


def replace(store: Store, path: Path, data: bytes) -> Path:
    """A receipt's bytes under their own name, and every pointer and stage record with it."""
    new = path.with_name(f"{hashlib.sha256(data).hexdigest()}.json")
    path.unlink()
    new.write_bytes(data)
    for memory in (*(store.root / "pointers").rglob("*.json"), *(store.root / "stages").glob("*.json")):
        memory.write_bytes(memory.read_bytes().replace(path.stem.encode(), new.stem.encode()))
    return new


def dependencies(predicate: Any) -> list[Any]:
    """What a receipt says was read."""
    return predicate["buildDefinition"]["resolvedDependencies"]


def as_of_schema(store: Store, schema: int) -> None:
    """Every node and receipt as a store of an earlier version has them."""
    for manifest in (store.root / "snapshots").glob(f"*/{MANIFEST}"):
        document = json.loads(manifest.read_bytes())
        document.pop("made", None)
        manifest.write_bytes(canonical_json(document) + b"\n")
    for path in (store.root / "receipts").glob("*/*.json"):
        receipt = json.loads(path.read_bytes())
        predicate = receipt["predicate"]
        predicate["buildDefinition"]["internalParameters"]["schema"] = schema
        predicate["runDetails"]["byproducts"] = predicate["runDetails"]["byproducts"][:1]
        for entry in dependencies(predicate)[:-2]:
            entry.pop("annotations", None)
        replace(store, path, canonical_json(receipt))
