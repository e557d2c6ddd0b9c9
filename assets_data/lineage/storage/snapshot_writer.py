"""Writing a snapshot: files in a temp directory, then ``snapshot.json``, last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.lineage.errors import DataError
from assets_data.lineage.identity.digests import canonical_json, digest_json, logical_digest, says_more_than_bytes
from assets_data.lineage.identity.merkle import Records, fold, sorted_records
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.folders import entries_below, folders_of, link_on_the_way
from assets_data.lineage.storage.snapshot_json import MANIFEST, SCHEMA
from assets_data.lineage.storage.verified import known_digest

_STATE = ("stats", "found", "environment", "splits")


class SnapshotWriter:
    """Collects a snapshot's files in a temp directory. ``publish`` hashes, syncs and writes ``snapshot.json`` last."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.path, self.kind = directory, kind
        self.stats: dict[str, Any] = {}
        self.found: dict[str, Any] = {}  # arguments that are only known once it is made; they go into the receipt
        self.environment: dict[str, Any] = {}  # further facts of it that the making found out; for the receipt
        self.splits: dict[str, int] = {}
        self._records: dict[str, Any] | None = None
        self._names: dict[str, bool] = {}

    def part(self, name: str) -> Path:
        """Where to write a file whose logical content is part of the identity. Stems are unique in a snapshot."""
        if any(is_part and Path(n).stem == Path(name).stem for n, is_part in self._names.items()):
            raise DataError("SNAPSHOT_PART_TWICE", "two parts share a name", found=name)
        self._names[name] = True
        return self.path / name

    def sidecar(self, name: str) -> Path:
        """Where to write a file that is listed and hashed but does not touch the identity."""
        self._names[name] = False
        return self.path / name

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a part as zstd Parquet (``.parquet``) or uncompressed, memory-mappable Arrow IPC (``.arrow``)."""
        target = self.part(name)
        if target.suffix == ".parquet":
            pq.write_table(table, target, compression="zstd")
            return
        with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

    def write_json(self, name: str, document: Any, *, sidecar: bool = False) -> None:
        """Write a JSON part (or sidecar) in canonical form."""
        target = self.sidecar(name) if sidecar else self.part(name)
        target.write_bytes(canonical_json(document) + b"\n")

    def records(self, ids: Records) -> None:
        """Set the record count and Merkle root from 32-byte digests: uint8[n, 32], ``S32``, bytes or hex characters."""
        leaves = sorted_records(ids)
        count = len(leaves)
        self._records = {"count": count, "root": fold(leaves)[0].hex()}

    def state(self) -> dict[str, Any]:
        """All but the files, as JSON: what :meth:`adopt` takes over in another process."""
        state = {name: getattr(self, name) for name in _STATE}
        return {**state, "records": self._records, "names": self._names}

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on where another writer of the same directory was."""
        for name in _STATE:
            setattr(self, name, dict(state[name]))
        self._records, self._names = state["records"], dict(state["names"])

    def finish(self, made: str = "") -> str:
        """Hash and sync every file, write ``snapshot.json``, return the id. Refuses a file that was never announced."""
        for name in sorted(set(entries_below(self.path)) - set(self._names) - folders_of(self._names)):
            raise DataError("SNAPSHOT_UNKNOWN_FILE", "a file was written but not announced", where=self.path / name)
        for name in self._names:
            if link := link_on_the_way(self.path, name):
                raise DataError("SNAPSHOT_LINK", "a link cannot be published", where=link)
        files = {name: self._entry(name, is_part) for name, is_part in sorted(self._names.items())}
        content = {
            "kind": self.kind,
            "schema": SCHEMA,
            "parts": {Path(n).stem: self._said(n, entry) for n, entry in files.items() if entry["part"]},
            "splits": self.splits,
            "records": self._records,
        }
        snapshot_id = digest_json(content)
        document = {"content": content, "files": files, "id": snapshot_id, "stats": self.stats}
        document |= {"made": made} if made else {}
        atomic.write_json(self.path / MANIFEST, document)
        return snapshot_id

    def _entry(self, name: str, is_part: bool) -> dict[str, Any]:
        path = self.path / name
        atomic.sync_path(path)
        return {"bytes": path.stat().st_size, "sha256": known_digest(path), "part": is_part}

    def _said(self, name: str, entry: Mapping[str, Any]) -> Any:
        """What a part says; one that is nothing but bytes says its own digest, and is not hashed twice."""
        return logical_digest(self.path / name) if says_more_than_bytes(name) else entry["sha256"]
