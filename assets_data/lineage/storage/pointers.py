"""Names in a store, and the snapshot that each stands for now, verified when it is asked for."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import DataError
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.names import read_pointer, read_pointer_once, require_kind, require_name
from assets_data.lineage.storage.record_rows import holds_any
from assets_data.lineage.storage.shelves import Shelves
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.verified import settled_keys


@dataclasses.dataclass(frozen=True, slots=True)
class Pointers(Shelves):
    """A store's names."""

    def point(self, name: str, snapshot: Snapshot) -> None:
        """Make ``name`` (its kind, and which one of it) stand for this snapshot from now on.

        Raises DataError STORE_NAME or STORE_NAME_KIND, and RECORD_WITHDRAWN where the snapshot names a withdrawn one.
        """
        require_kind(name, snapshot.kind)
        self._require_none_withdrawn(name, snapshot)
        atomic.write_json(Path(self._pointer(name)), {"snapshot": snapshot.id, "receipt": self.receipt_name(snapshot)})

    def pointed(self, name: str) -> Snapshot:
        """The snapshot ``name`` stands for, verified.

        Raises DataError when nothing was published under that name, or what it stands for is of another kind.
        """
        if (entry := self.pointer(name)) is None:
            raise DataError(
                "STORE_NOTHING_THERE",
                "nothing was published under this name",
                found=name,
                where=self.root,
                action=f"materialise {name} first",
            )
        receipt = self.root / entry["receipt"] if entry["receipt"] else None
        snapshot = self.snapshot(entry["snapshot"])
        require_kind(name, snapshot.kind)
        return dataclasses.replace(snapshot, receipt=receipt)

    def pointer(self, name: str) -> dict[str, Any] | None:
        """``{"snapshot", "receipt"}`` of a name, or None; nothing is verified."""
        path = self._pointer(name)
        if seen := settled_keys(path):
            return read_pointer_once(path, seen)
        return read_pointer(Path(path)) if os.path.exists(path) else None

    def all_names(self) -> list[str]:
        """Every name anything was published under."""
        folder = self.root / "pointers"
        return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.json"))

    def names(self, prefix: str) -> list[str]:
        """Every name right below ``prefix``, sorted, without the prefix: the slices at hand.

        Raises DataError STORE_NAME for what is no name.
        """
        return sorted(path.stem for path in (self.root / "pointers" / require_name(prefix)).glob("*.json"))

    def _pointer(self, name: str) -> str:
        return os.path.join(self.root, "pointers", f"{require_name(name)}.json")  # a look asks for twenty a slice

    def _require_none_withdrawn(self, name: str, snapshot: Snapshot) -> None:
        if holds_any(snapshot, self.withdrawn):
            raise DataError(
                "RECORD_WITHDRAWN",
                "this snapshot holds a record that was withdrawn",
                found=snapshot.id,
                where=name,
                action="run the chain again: what is made now leaves withdrawn records out",
            )
