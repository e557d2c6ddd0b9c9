"""Removing what nothing needs: first what a dry run says, then the same, with a receipt.

Children go before parents, each by one rename into ``trash/``, so that whatever is left at any moment verifies. Killed
anywhere, the next collection finishes what the receipt says was begun. Receipts are never removed.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets_data.lineage import Store
from assets_data.lineage.errors import StemmaError
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.deletions import begin_deletion, deletion_entry, finish_deletion, unfinished
from pipeline_defs.answers.retention.needs import DAYS, Needs, find_needs, last_change, needed_runs

TRASH = "trash"
OTHERS = (
    "quarantine",
    "snapshots/.tmp-*",
    "rebuild-*",
    "snapshots/sealed-*",
)  # what failed, and what dead writers left


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What would go: snapshots (children first), run directories and leftovers; and all that is needed."""

    needs: Needs
    snapshots: list[str]
    folders: list[Path]

    @property
    def bytes(self) -> int:
        """What the snapshots and folders take."""
        sizes = (node.snapshot.bytes for key in self.snapshots if (node := self.needs.nodes[key]).snapshot)
        return sum(sizes) + sum(_size(path) for path in self.folders)


def plan_collection(store: Store, days: float = DAYS) -> Collection:
    """What nothing needs by now; ``days``: for how long what was made or used lately stays."""
    needs = find_needs(store, days)
    return Collection(needs=needs, snapshots=needs.free, folders=_folders(store, needs, days))


def collect(store: Store, plan: Collection) -> dict[str, Any] | None:
    """Remove it; the receipt, or None where there was nothing to do. Hold the store's lease."""
    empty_trash(store)
    for path, document in unfinished(store.root).items():
        _carry_on(store, path, document, plan.needs)
    if not plan.snapshots and not plan.folders:
        return None
    entries = {key: deletion_entry(node.snapshot) for key in plan.snapshots if (node := plan.needs.nodes[key]).snapshot}
    folders = [str(path.relative_to(store.root.parent)) for path in plan.folders]
    document = {"why": "nothing needs it", "requests": [], "snapshots": entries, "folders": folders, "proofs": []}
    path = begin_deletion(store.root, document)
    remove_snapshots(store, plan.snapshots)
    for folder in plan.folders:
        throw_away(store, folder)
    return {**finish_deletion(path), "receipt": path.stem}


def remove_snapshots(store: Store, ids: Iterable[str]) -> None:
    """Remove snapshots in this order, with the notes of the calls that made them and what was derived from them."""
    records = _records_by_id(store)
    for key in ids:
        for record in records.get(key, []):
            record.unlink(missing_ok=True)
        for derived in derived_files(store, key):
            throw_away(store, derived)
        throw_away(store, store.snapshot_path(key))


def derived_files(store: Store, key: str) -> list[Path]:
    """What was made from a snapshot beside the store: its record index and its report."""
    name = key.removeprefix("sha256:")
    return [store.root / "cache" / "records" / name, store.root / "reports" / f"{name}.html"]


def throw_away(store: Store, path: Path) -> None:
    """Remove a file or a folder: gone from its place at once, then from the disk."""
    if not path.exists() and not path.is_symlink():
        return
    trash = store.root / TRASH
    with atomic.disk_errors(path):
        trash.mkdir(parents=True, exist_ok=True)
        target = atomic.temp_beside(trash / path.name)
        os.rename(path, target)
        atomic.sync_directory(path.parent)
        shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()


def empty_trash(store: Store) -> None:
    """What a killed collection had renamed already."""
    shutil.rmtree(store.root / TRASH, ignore_errors=True)


def _carry_on(store: Store, path: Path, document: Mapping[str, Any], needs: Needs) -> None:
    """Finish a deletion that was killed. What is needed by now, because it was made again, stays and is said to."""
    made_again = {key for key in document["snapshots"] if document["why"] == "nothing needs it" and key in needs.kept}
    remove_snapshots(store, [key for key in document["snapshots"] if key not in made_again])
    entries = {key: entry for key, entry in document["snapshots"].items() if key not in made_again}
    finish_deletion(path, snapshots=entries)


def _records_by_id(store: Store) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in (store.root / "stages").glob("*.json"):
        try:
            found.setdefault(load_json(path.read_bytes(), path)["snapshot"], []).append(path)
        except (StemmaError, KeyError, TypeError):
            continue  # a torn record finds nothing; its stage writes it again
    return found


def _folders(store: Store, needs: Needs, days: float) -> list[Path]:
    """Run directories of no checkpoint that stays, and leftovers, all of them untouched for that long."""
    runs = needed_runs(needs.nodes, needs.kept)
    found = [path for path in sorted((store.root / "runs").glob("*")) if path.is_dir() and path.name not in runs]
    found += [path for pattern in OTHERS[1::2] for path in sorted(store.root.glob(pattern))]
    found += sorted((store.root / OTHERS[0]).glob("*"))
    found += sorted(store.root.parent.glob(OTHERS[2]))
    return [path for path in found if time.time() - last_change(path) > max(days, 1 / 24) * 86400]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())
