"""What lies in a store by its id: snapshots and receipts, run directories, and what was moved aside as broken."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.receipts.byproducts import require_named
from assets_data.lineage.storage import atomic, locks
from assets_data.lineage.storage.folders import json_files, names_in
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.tombstones import withdrawn_records


@dataclasses.dataclass(frozen=True, slots=True)
class Shelves:
    """A store's folders under ``root``, by id. ``withdrawing``: see :class:`assets_data.lineage.Store`; ``look`` gives
    the snapshot of an id in the place of :meth:`snapshot`, see its ``looking``.
    """

    root: Path
    withdrawing: frozenset[bytes] = dataclasses.field(default=frozenset(), kw_only=True)
    look: Callable[[str], Snapshot] | None = dataclasses.field(default=None, kw_only=True, compare=False)

    @property
    def withdrawn(self) -> np.ndarray:
        """uint8[n, 32], ascending: the records that nothing made here may hold."""
        return withdrawn_records(self.root, self.withdrawing)

    def snapshot_path(self, snapshot_id: str) -> Path:
        """Where a snapshot with this id is, or would be."""
        return self.root.joinpath("snapshots", snapshot_id.removeprefix("sha256:"))

    def opened(self, snapshot_id: str, receipts: Sequence[Path] | None = None) -> Snapshot:
        """The snapshot in this id's place, its files not yet hashed. ``receipts`` are all its receipts, where the
        caller has listed them.

        Raises IntegrityError SNAPSHOT_MISPLACED when it is another one, and RECEIPT_FILES when receipts name other
        files than it lists: a file of it, or a statistic, was made to look published.
        """
        snapshot = Snapshot.open(self.snapshot_path(snapshot_id))
        if snapshot.id.removeprefix("sha256:") != snapshot_id.removeprefix("sha256:"):
            raise IntegrityError(
                "SNAPSHOT_MISPLACED", "another snapshot is in its place", expected=snapshot_id, found=snapshot.id
            )
        require_named(snapshot, self.receipts(snapshot_id) if receipts is None else receipts)
        return snapshot

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """The snapshot, every file verified. Raises IntegrityError when it is missing or differs from its id."""
        if self.look:
            return self.look(snapshot_id)
        snapshot = self.opened(snapshot_id)
        snapshot.verify()
        return snapshot

    def receipts(self, snapshot_id: str) -> list[Path]:
        """Every receipt for this id, by name."""
        return json_files(self.root.joinpath("receipts", snapshot_id.removeprefix("sha256:")))

    def receipt_path(self, snapshot_id: str, name: str) -> Path:
        """Where a receipt (64 hex characters) for this id is, or would be."""
        return self.root.joinpath("receipts", snapshot_id.removeprefix("sha256:"), f"{name}.json")

    def receipt_name(self, snapshot: Snapshot) -> str | None:
        """Where the receipt of a snapshot lies below the root, as names and records say it; None where it has none."""
        return str(snapshot.receipt).removeprefix(f"{self.root}/") if snapshot.receipt else None

    def snapshot_ids(self, folder: str = "snapshots") -> list[str]:
        """Every id that has a folder, sorted; what dead writers left and odd names are none. Likewise ``receipts``."""
        return [f"sha256:{name}" for name in names_in(self.root / folder) if re.fullmatch("[0-9a-f]{64}", name)]

    def run_dir(self, run_id: str) -> Path:
        """The mutable directory of one training run, made if needed."""
        path = self.root / "runs" / run_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def in_use(self, *, alone: bool = False) -> contextlib.AbstractContextManager[None]:
        """While snapshots are found and marked as used, or go (``alone``); see :func:`storage.locks.in_use`."""
        return locks.in_use(self.root, alone=alone)

    def quarantine(self, path: Path, reason: IntegrityError) -> None:
        """Move a broken directory aside, never to be reused, with the reason beside it."""
        if path.exists():
            target = self.root / "quarantine" / f"{path.name[:16]}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, target)
            atomic.write_json(
                target.with_suffix(".json"), {"code": reason.code, "reason": str(reason), "was": str(path)}
            )
