"""Legal holds: snapshots that nothing may remove, with all their ancestors, until a person releases them.

One small file per hold under ``holds/`` in the store. A hold wins over a withdrawal's deletion, which then waits.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from assets_data.lineage import DataError, Store
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic

FOLDER = "holds"


def place_hold(store: Store, snapshot_id: str, reason: str) -> dict[str, Any]:
    """Hold a snapshot. The same one held again takes the new reason."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    document = {"snapshot": snapshot_id, "reason": reason, "at": at}
    atomic.write_json(store.root / FOLDER / f"{snapshot_id.removeprefix('sha256:')}.json", document)
    return document


def release_hold(store: Store, snapshot_id: str) -> dict[str, Any]:
    """End a hold. Raises DataError HOLD_UNKNOWN where there is none."""
    path = store.root / FOLDER / f"{snapshot_id.removeprefix('sha256:')}.json"
    if not path.is_file():
        listed = [hold["snapshot"] for hold in read_holds(store)]
        raise DataError("HOLD_UNKNOWN", "no hold on this snapshot", expected=listed, found=snapshot_id)
    document = load_json(path.read_bytes(), path)
    path.unlink()
    atomic.sync_directory(path.parent)
    return document


def read_holds(store: Store) -> list[dict[str, Any]]:
    """Every hold. Raises IntegrityError where one cannot be read: what it holds is then not known."""
    return [load_json(path.read_bytes(), path) for path in sorted((store.root / FOLDER).glob("*.json"))]
