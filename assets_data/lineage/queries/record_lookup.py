"""Which records the tables of some snapshots name: read from the tables, or, of small ones, noted as they were hashed.

Lasts for one question, and keeps no more than ``KEPT`` tables of ``FEW`` records: 128 MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.lineage.errors import IntegrityError, StemmaError
from assets_data.lineage.identity.digests import logical_digest
from assets_data.lineage.identity.merkle import WIDTH, sorted_records
from assets_data.lineage.identity.record_ids import among, decode_records, iter_records, record_columns
from assets_data.lineage.storage.records import record_tables
from assets_data.lineage.storage.snapshot import Snapshot

SAMPLED = 1 << 12  # record ids of a table that are looked up in the parents; of a larger one, as many evenly spaced
SAME = 1 << 12  # files of which it is known what their bytes say; some kilobytes each
KEPT, FEW = 1 << 17, 1 << 5


class RecordLookup:
    """The record ids of tables that do not change while the question is asked, and which tables name any."""

    def __init__(self) -> None:
        self._few = dict[tuple[Path, str], np.ndarray]()
        self._same = dict[tuple[str, str], tuple[Any, np.ndarray | None]]()
        self._tables = dict[Path, list[str]]()

    def digest(self, snapshot: Snapshot, name: str, data: bytes | None = None) -> Any:
        """The logical digest of a part; if it is a table of few records, they need not be read again.

        ``data`` are its bytes, if they were checked against the list. What equal bytes say is found once: slices have
        many files that say "none".
        """
        if data is None:
            digest, few = _logical(snapshot.path / name, None)
        else:
            digest, few = self._found_once(snapshot, name, data)
        if few is not None and len(self._few) < KEPT:
            self._few[snapshot.path, name] = few
        return digest

    def _found_once(self, snapshot: Snapshot, name: str, data: bytes) -> tuple[Any, np.ndarray | None]:
        """What :func:`_logical` finds, by the suffix and the digest that the bytes were checked against."""
        key = (name.rpartition(".")[2], snapshot.files[name]["sha256"])
        if (found := self._same.get(key)) is None:
            found = _logical(snapshot.path / name, data)
            if len(self._same) >= SAME:
                self._same.clear()
            self._same[key] = found
        return found

    def tables(self, snapshot: Snapshot) -> list[str]:
        """Names of the tables that name records; none where they cannot be read, which is found elsewhere."""
        if snapshot.path not in self._tables:
            try:
                self._tables[snapshot.path] = record_tables(snapshot)
            except (StemmaError, OSError, ValueError):
                self._tables[snapshot.path] = []
        return self._tables[snapshot.path]

    def sample(self, snapshot: Snapshot, name: str) -> np.ndarray:
        """uint8[n, 32], ascending: every record id of a table, or some evenly spaced ones."""
        batches = list(self._read(snapshot, name))
        step = max(1, sum(map(len, batches)) // SAMPLED)
        return sorted_records(np.concatenate([np.empty((0, WIDTH), np.uint8), *(batch[::step] for batch in batches)]))

    def left(self, wanted: np.ndarray, parents: Iterable[Snapshot]) -> np.ndarray:
        """Those of ``wanted`` (uint8[n, 32], ascending) that no table of the parents names."""
        batches = (b for parent in parents for name in self.tables(parent) for b in self._read(parent, name))
        for batch in batches:
            if not len(wanted):
                break
            wanted = wanted[~among(wanted, sorted_records(batch[among(batch, wanted)]))]
        return wanted

    def _read(self, snapshot: Snapshot, name: str) -> Iterable[np.ndarray]:
        few = self._few.get((snapshot.path, name))
        return iter_records(snapshot.file(name)) if few is None else [few]


def _logical(path: Path, data: bytes | None) -> tuple[Any, np.ndarray | None]:
    """The logical digest of a part and, of a table of few records, those: uint8[n, 32], ascending."""
    few = _Few(path)
    digest = logical_digest(path, few.add, data)
    return digest, sorted_records(np.concatenate(few.ids)) if few.known else None


class _Few:
    """The record ids of a table, as long as they are few; ``known`` says whether they are, and can be read."""

    def __init__(self, path: Path) -> None:
        self.path, self.known, self.count = path, path.suffix in (".arrow", ".parquet"), 0
        self.ids = [np.empty((0, WIDTH), np.uint8)]

    def add(self, batch: pa.RecordBatch) -> None:
        """Note those of the next batch."""
        for name in record_columns(batch.schema.names) if self.known else ():
            self.count += len(batch)
            try:
                self.ids += [decode_records(batch.column(name), self.path)] if self.count <= FEW else []
            except IntegrityError:  # said when the table is read for them
                self.known = False
        self.known = self.known and self.count <= FEW
