"""From words to records: what the columns of text beside a record's id say. For domains with no search of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from assets_data.lineage.identity.record_ids import COLUMN, decode_records, record_columns
from assets_data.lineage.identity.tables import open_table
from assets_data.lineage.storage.records import record_tables
from assets_data.lineage.storage.snapshot import Snapshot

AROUND = 40
"""Characters shown before and behind what was found."""


def find_said(snapshots: Iterable[Snapshot], words: str) -> dict[bytes, tuple[str, str]]:
    """Record -> ``(table, "column=excerpt")`` of every row that has ``words`` in a column of text, letter by letter.

    Raises IntegrityError for a table that is not what was published.
    """
    found: dict[bytes, tuple[str, str]] = {}
    for snapshot in snapshots:
        for name in record_tables(snapshot):
            snapshot.check_file(name, again=False)
            found |= {record: (f"{snapshot.kind} {name}", says) for record, says in _rows(snapshot, name, words)}
    return found


def _rows(snapshot: Snapshot, name: str, words: str) -> Iterator[tuple[bytes, str]]:
    with open_table(snapshot.file(name)) as table:
        ids = record_columns(table.schema.names)
        texts = [column.name for column in table.schema if column.name not in ids and _is_text(column.type)]
        if COLUMN not in ids or not texts:
            return
        for batch in table.columns([COLUMN, *texts]):
            whole = pa.Table.from_batches([batch])
            for text in texts:
                hits = whole.filter(pc.match_substring(whole[text], words))
                records = decode_records(hits[COLUMN].combine_chunks(), snapshot.path) if len(hits) else ()
                for record, row in zip(records, hits.to_pylist(), strict=True):
                    yield record.tobytes(), f"{text}={_excerpt(row, text, words)}"


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _excerpt(row: Mapping[str, str], column: str, words: str) -> str:
    place = row[column].index(words)
    return row[column][max(0, place - AROUND) : place + len(words) + AROUND]
