"""Marks of what was withdrawn: one document per withdrawal, naming the nodes that held or learned from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets_data.lineage import Store, digest_json
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic

FOLDER = "withdrawals"  # below the store root


def write_mark(store: Store, document: dict[str, Any]) -> Path:
    """Write the mark of one withdrawal; the same records and choice replace their own mark."""
    name = digest_json([document["records"], document["learners"]]).removeprefix("sha256:")
    path = store.root / FOLDER / f"{name}.json"
    atomic.write_json(path, document)
    return path


def read_marks(store: Store) -> dict[str, set[str]]:
    """Snapshot id -> the records (64 hex characters) withdrawn from it."""
    marks: dict[str, set[str]] = {}
    for path in sorted((store.root / FOLDER).glob("*.json")):
        document = load_json(path.read_bytes(), path)
        for key in document["marked"]:
            marks.setdefault(key, set()).update(document["records"])
    return marks
