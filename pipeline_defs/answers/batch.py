"""``stemma batch``: from a step to its rows and their records."""

from __future__ import annotations

import functools
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.queries.tree import load_tree
from assets_data.stage import load
from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.carried import Fields, carried_fields, in_words
from pipeline_defs.answers.nodes import default_store, find_node
from pipeline_defs.answers.trained import TrainedRow, TrainedRows
from pipeline_defs.catalogue import catalogue


def batch(options: Namespace) -> Answer:
    """The rows of one step with their records and texts."""
    store, checkpoint = default_store(), find_node(options.node)
    trained = TrainedRows(store, checkpoint)
    text = functools.cache(lambda key: preview(store, store.opened(key)))
    chunks = {(ref["snapshot"], ref["file"]): ref["chunks"] for ref in trained.record["tables"]}
    rows = [
        {
            "table": row.table.id,
            "kind": row.table.kind,
            "file": row.file,
            "row": row.row,
            "chunk": row.chunk,
            "epoch": row.epoch,
            "record": row.record,
            "records": dict(row.records),
            "text": text(row.table.id)(_stored(row), row.chunk, chunks[row.table.id, row.file]),
        }
        for row in trained.batch(options.step)
    ]
    beside = _carried(store, checkpoint, rows)
    rows = [row | {"carried": {record: beside[record] for record in _named(row) if record in beside}} for row in rows]
    lines = [f"step {options.step} of {trained.steps}, {checkpoint.kind} {short(checkpoint.id)}: {len(rows)} rows"]
    for row in rows:
        lines.append(f"  {_records(row) or _place(row):<22}  {row['text']}")
        lines += [f"{'':<26}{line}" for fields in row["carried"].values() for line in in_words(fields)]
    document = {"checkpoint": checkpoint.id, "step": options.step, "steps": trained.steps, "rows": rows}
    return Answer(document=document, lines=lines)


def _named(row: Mapping[str, Any]) -> list[str]:
    """The records of a row, in hex."""
    return sorted(set(row["records"].values()))


def _carried(store: Store, checkpoint: Snapshot, rows: list[dict[str, Any]]) -> dict[str, Fields]:
    """Record in hex -> what the checkpoint's sources keep beside it."""
    records = {bytes.fromhex(record) for row in rows for record in _named(row)}
    snapshots = (node.snapshot for node in load_tree(store, [checkpoint.id]).values() if node.snapshot)
    return {record.hex(): fields for record, fields in carried_fields(snapshots, records).items()}


def preview(store: Store, table: Snapshot) -> Callable[[Mapping[str, Any], int | None, int], str]:
    """What the rows of a table say, as its domain shows them; nothing for a domain that shows none."""
    domain = catalogue().domains.get(table.kind.partition("/")[0])
    if domain is None or not domain.preview:
        return lambda row, chunk, chunks: ""
    return load(domain.preview)(store, table)


def _stored(row: TrainedRow) -> Mapping[str, Any]:
    return row.table.table(row.file).slice(row.row, 1).to_pylist()[0]


def _records(row: dict[str, Any]) -> str:
    return " ".join(map(short, row["records"].values()))


def _place(row: dict[str, Any]) -> str:
    chunk = "" if row["chunk"] is None else f".{row['chunk']}"
    return f"{row['kind'].rpartition('/')[2]} row {row['row']}{chunk}"
