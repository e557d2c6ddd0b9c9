"""Which records are the same text in another spelling: they differ only in what cleaning takes away or composes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets_data.lineage import Snapshot

TABLES = ("documents.parquet", "repeats.parquet")


def same_text(snapshots: Iterable[Snapshot], records: Collection[bytes]) -> set[bytes]:
    """``records`` and every record whose cleaned text one of them has, in any slice's documents."""
    documents = [snapshot for snapshot in snapshots if snapshot.kind == "text/documents"]
    texts = _column(documents, "text_id", "record_id", [record.hex() for record in records])
    found = _column(documents, "record_id", "text_id", sorted(texts))
    return {*records, *(bytes.fromhex(record) for record in found)}


def _column(documents: Iterable[Snapshot], wanted: str, by: str, values: list[str]) -> set[str]:
    found: set[str] = set()
    chosen = pc.field(by).isin(pa.array(values, pa.large_string()))  # typed: of no values it would have none
    for snapshot in documents:
        for name in TABLES:
            table = pq.read_table(snapshot.file(name), columns=[wanted], filters=chosen)
            found.update(table[wanted].to_pylist())
    return found
