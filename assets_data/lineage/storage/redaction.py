"""A source's snapshot without some records: what its stage would make of the same source now that they are withdrawn.

The receipt names the records, and the snapshot they were taken from; the stage's later calls find the new one. Only
snapshots that were read from outside are redacted: what was derived from one is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection

import numpy as np
import pyarrow as pa

from assets_data.lineage.errors import DataError
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.identity.record_ids import among, decode_records, record_columns
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.receipts.writer import Build
from assets_data.lineage.storage.records import all_records, record_tables
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.snapshot_writer import SnapshotWriter
from assets_data.lineage.storage.store import Store
from assets_data.lineage.storage.tombstones import WITHDRAWN

REDACTED_FROM = "redacted_from"
Without = Callable[[SnapshotWriter, Snapshot, np.ndarray], None]


def redact(
    store: Store,
    snapshot: Snapshot,
    receipt: Receipt,
    records: Collection[bytes],
    code: tuple[str, ...],
    without: Without | None = None,
) -> Snapshot:
    """Publish (or reuse) ``snapshot``, which ``receipt`` says the making of, without ``records``.

    ``code`` are the modules of its stage; ``without(writer, snapshot, records)`` writes it, else its tables lose the
    rows that name one. Raises DataError REDACTION_DERIVED for what was made from other snapshots.
    """
    if receipt.parents:
        what, action = "this was made from other snapshots", "redact the source that it was derived from"
        raise DataError("REDACTION_DERIVED", what, found=snapshot.kind, where=snapshot.path, action=action)
    gone = sorted_records(list(records))
    listed = sorted({*receipt.arguments.get(WITHDRAWN, []), *_hex(snapshot, gone)})
    return store.run_stage(
        name=snapshot.kind,
        module=code,
        config=receipt.config,
        arguments={**receipt.arguments, REDACTED_FROM: snapshot.id, WITHDRAWN: listed},
        parents={},
        seeds=receipt.seeds,
        sources=receipt.sources,
        build=lambda writer: (without or _without)(writer, snapshot, gone),
    )


def source_call(receipt: Receipt, code: tuple[str, ...]) -> Build:
    """The call of a source stage that a receipt is about, as today's code would make it: what ``Store.adopt`` takes.

    The store finds a snapshot by the call, without what it left out.
    """
    arguments = {name: value for name, value in receipt.arguments.items() if name not in (WITHDRAWN, REDACTED_FROM)}
    return Build(
        stage=receipt.stage,
        code_version=code_version(*code),
        config=receipt.config,
        arguments=arguments,
        requested=receipt.requested,
        parents={},
        seeds=receipt.seeds,
    )


def _hex(snapshot: Snapshot, gone: np.ndarray) -> list[str]:
    """Those of ``gone`` that the snapshot names."""
    held = sorted_records(all_records(snapshot))
    return [record.tobytes().hex() for record in gone[among(gone, held)]]


def _without(writer: SnapshotWriter, snapshot: Snapshot, gone: np.ndarray) -> None:
    tables = record_tables(snapshot)
    for name, entry in snapshot.files.items():
        if name in tables:
            writer.write_table(name, _rows_left(snapshot.table(name), gone, name))
        else:
            shutil.copyfile(snapshot.file(name), writer.part(name) if entry["part"] else writer.sidecar(name))
    held = all_records(snapshot)
    writer.records(held[~among(held, gone)])
    writer.stats |= {**snapshot.stats, WITHDRAWN: len(_hex(snapshot, gone))}


def _rows_left(table: pa.Table, gone: np.ndarray, where: str) -> pa.Table:
    keep = np.ones(table.num_rows, bool)
    for column in record_columns(table.column_names):
        masks = [among(decode_records(chunk, where), gone) for chunk in table[column].chunks]
        keep &= ~np.concatenate([np.zeros(0, bool), *masks])
    return table.filter(pa.array(keep))
