"""What the sources say of records besides their texts: the fields that ``extract.carry`` names, kept in raw slices."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets_data.domains.text.raw_slice import CARRIED
from assets_data.lineage import Snapshot


def carried_of(snapshots: Iterable[Snapshot], records: Collection[bytes]) -> dict[bytes, dict[str, list[str]]]:
    """Record -> field -> its values, each once and in order; a text that several files hold may have several.

    Raises IntegrityError for a slice whose records are not what was published.
    """
    chosen = pc.field("record_id").isin(pa.array([record.hex() for record in records], pa.large_string()))
    found: dict[bytes, dict[str, set[str]]] = {}
    for snapshot in snapshots:
        if snapshot.kind != "text/raw_slice":
            continue
        snapshot.check_file("records.parquet", again=False)
        path = snapshot.file("records.parquet")
        if CARRIED.name not in pq.read_schema(path).names:
            continue
        table = pq.read_table(path, columns=["record_id", CARRIED.name], filters=chosen)
        for row in table.to_pylist():
            fields = found.setdefault(bytes.fromhex(row["record_id"]), {})
            for name, value in json.loads(row[CARRIED.name]).items():
                fields.setdefault(name, set()).add(value)
    return {
        record: {name: sorted(values) for name, values in sorted(fields.items())} for record, fields in found.items()
    }
