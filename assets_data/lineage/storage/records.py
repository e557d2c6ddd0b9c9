"""Which source records a snapshot holds: read from the ``record_id`` columns of its published tables.

A snapshot needs no separate record table: any part with a record id column is one, and the record root in its identity
says whether the columns are complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from assets_data.lineage.errors import DataError
from assets_data.lineage.identity.digests import is_object
from assets_data.lineage.identity.merkle import WIDTH
from assets_data.lineage.identity.record_ids import record_columns, table_records
from assets_data.lineage.identity.tables import table_schema
from assets_data.lineage.storage.snapshot import Snapshot


def record_tables(snapshot: Snapshot) -> list[str]:
    """Names of the parts that name records, sorted."""
    tables = (name for name, entry in snapshot.files.items() if entry["part"])
    return [name for name in sorted(tables) if record_columns(_columns(snapshot, name))]


def _columns(snapshot: Snapshot, name: str) -> Iterable[str]:
    """The columns of a part, by what the identity says of them, else by the file; none where it is no table."""
    if Path(name).suffix not in (".arrow", ".parquet"):
        return ()
    said = snapshot.content["parts"].get(Path(name).stem)
    columns = said.get("columns") if is_object(said) else None
    return columns if is_object(columns) else table_schema(snapshot.file(name)).names


def all_records(snapshot: Snapshot) -> np.ndarray:
    """Every record id of a snapshot, uint8[n, 32], as often as its tables name it.

    ``records.parquet`` is enough where there is one. Raises DataError RECORDS_NONE when no table names records.
    """
    names = record_tables(snapshot)
    if not names:
        raise DataError("RECORDS_NONE", "no table of this snapshot names source records", where=snapshot.path)
    chosen = [name for name in names if Path(name).stem == "records"] or names
    return np.concatenate([table_records(snapshot.file(name)) for name in chosen])


def parse_record(text: str) -> bytes:
    """32 bytes from a record id as people write it. Raises DataError RECORD_ID."""
    try:
        record = bytes.fromhex(text.removeprefix("sha256:"))
    except ValueError:
        record = b""
    if len(record) != WIDTH:
        raise DataError("RECORD_ID", "a record id is 64 hex characters", found=text)
    return record
