"""Deletion receipts: what was removed from a store, when, why, and what still proves that it was there.

A receipt keeps each removed snapshot's *content* (its identity: digests, counts, record root; no value of any row) and
the list of its files, so that its id can still be computed, its own receipts still be read, and a bundle still name it.
It is written before the first file goes and again when the last one is gone; one that has no end is carried on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import digest_file, digest_json, load_json
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.snapshot_json import MANIFEST

FOLDER = "deletions"  # below the store's root


def deletion_entry(snapshot: Snapshot) -> dict[str, Any]:
    """What a receipt keeps of a snapshot."""
    files = {name: [entry["bytes"], entry["sha256"]] for name, entry in snapshot.files.items()}
    manifest = snapshot.path / MANIFEST
    if manifest.is_file():  # a collection that was killed before may have removed it already
        files[MANIFEST] = [manifest.stat().st_size, digest_file(manifest)]
    return {"kind": snapshot.kind, "content": dict(snapshot.content), "files": files, "bytes": snapshot.bytes}


def begin_deletion(root: Path, document: Mapping[str, Any]) -> Path:
    """Write the receipt of a deletion that is about to begin: ``why``, ``requests``, ``snapshots`` by id, and more."""
    begun = datetime.now(UTC).isoformat(timespec="milliseconds")
    full = {**document, "begun": begun, "finished": None}
    path = root / FOLDER / f"{digest_json(full).removeprefix('sha256:')}.json"
    atomic.write_json(path, full)
    return path


def finish_deletion(path: Path, **facts: Any) -> dict[str, Any]:
    """Say that it is done, with what was found out on the way."""
    finished = datetime.now(UTC).isoformat(timespec="milliseconds")
    document = {**load_json(path.read_bytes(), path), **facts, "finished": finished}
    atomic.write_json(path, document)
    return document


def read_deletions(root: Path) -> dict[Path, dict[str, Any]]:
    """Every receipt, by its file. Raises IntegrityError where one cannot be read."""
    return {path: load_json(path.read_bytes(), path) for path in sorted((root / FOLDER).glob("*.json"))}


def unfinished(root: Path) -> dict[Path, dict[str, Any]]:
    """Those that were begun and not ended."""
    return {path: document for path, document in read_deletions(root).items() if document["finished"] is None}


def find_deletion(root: Path, snapshot_id: str) -> dict[str, Any] | None:
    """The entry of a snapshot that was deleted, with ``receipt``, its file's stem; None where no receipt names it.

    Raises IntegrityError DELETION_CONTENT where the entry is of another snapshot than it says.
    """
    for path, document in read_deletions(root).items():
        if entry := document["snapshots"].get(snapshot_id):
            if (found := digest_json(entry["content"])) != snapshot_id:
                what = "a deletion receipt names another snapshot than it describes"
                raise IntegrityError("DELETION_CONTENT", what, expected=snapshot_id, found=found, where=path)
            return {**entry, "receipt": path.stem, "finished": document["finished"]}
    return None
