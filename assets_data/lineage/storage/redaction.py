"""A snapshot without some records: the same tables, minus the rows that name them.

The new snapshot is of the same kind and is made from the old one, as its receipt says. Parts without a ``record_id``
column are copied as they are: redact where records enter, and make again what was derived.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection

import numpy as np
import pyarrow as pa

from assets_data.lineage.errors import DataError
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.identity.record_ids import COLUMN, among, decode_records
from assets_data.lineage.queries.records import all_records, record_tables
from assets_data.lineage.storage.snapshot import Snapshot, SnapshotWriter
from assets_data.lineage.storage.store import Store

WITHDRAWN, WITHDRAWN_FROM = "withdrawn", "withdrawn_from"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RedactionConfig:
    """Nothing to set: the records are an argument."""


def redact(store: Store, snapshot: Snapshot, records: Collection[bytes]) -> Snapshot:
    """Publish (or reuse) ``snapshot`` without ``records``. Raises DataError REDACTION_EMPTY when none would be left."""
    return store.run_stage(
        name=snapshot.kind,
        module=__name__,
        config=RedactionConfig(),
        arguments={WITHDRAWN: sorted(record.hex() for record in records)},
        parents={WITHDRAWN_FROM: snapshot},
        build=lambda writer: _build(writer, snapshot, records),
    )


def _build(writer: SnapshotWriter, snapshot: Snapshot, records: Collection[bytes]) -> None:
    if snapshot.content["splits"]:
        what, action = "rows are counted by split here", "redact the snapshot that it was derived from"
        raise DataError("REDACTION_DERIVED", what, found=snapshot.kind, where=snapshot.path, action=action)
    gone = sorted_records(list(records))
    tables = record_tables(snapshot)
    for name, entry in snapshot.files.items():
        if name in tables:
            writer.write_table(name, _without(snapshot.table(name), gone, name))
        else:
            shutil.copyfile(snapshot.file(name), writer.part(name) if entry["part"] else writer.sidecar(name))
    left = all_records(snapshot)
    left = left[~among(left, gone)]
    if not len(left):
        raise DataError("REDACTION_EMPTY", "no record would be left", found=snapshot.id, where=snapshot.path)
    writer.records(left)
    writer.stats |= {"rows": len(left), WITHDRAWN: len(gone)}


def _without(table: pa.Table, gone: np.ndarray, where: str) -> pa.Table:
    mask = [among(decode_records(chunk, where), gone) for chunk in table[COLUMN].chunks]
    return table.filter(pa.array(~np.concatenate(mask))) if mask else table
