"""Which records are the same cell under another name: equal counts of equal genes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets_data.domains.cells.raw_cells import CELLS, KIND, REPEATS
from assets_data.lineage import Snapshot


def same_content(snapshots: Iterable[Snapshot], records: Collection[bytes]) -> set[bytes]:
    """``records`` and every record of any dataset that counts the same, kept or left out as a repeat."""
    raw = [snapshot for snapshot in snapshots if snapshot.kind == KIND]
    contents = _column(raw, "content_id", "record_id", [record.hex() for record in records])
    found = _column(raw, "record_id", "content_id", sorted(contents))
    return {*records, *(bytes.fromhex(record) for record in found)}


def _column(raw: list[Snapshot], wanted: str, by: str, values: list[str]) -> set[str]:
    chosen = pc.field(by).isin(pa.array(values, pa.string()))  # typed: of no values it would have none
    files = [snapshot.file(name) for snapshot in raw for name in (CELLS, REPEATS)]
    return {
        name for file in files for name in pq.read_table(file, columns=[wanted], filters=chosen)[wanted].to_pylist()
    }
