"""``stemma batch`` and ``stemma uses``: from a step to its records, and from a record to its steps."""

from __future__ import annotations

import functools
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from assets_data.lineage import DataError, Snapshot, Store
from assets_data.lineage.queries.reach import HOLDS, LEARNED, Effect, Reach, all_nodes, find_reach
from assets_data.lineage.storage.tombstones import read_tombstones
from assets_data.stage import load
from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.carried import carried_fields, in_words
from pipeline_defs.answers.nodes import default_store, find_node, find_record
from pipeline_defs.answers.trained import TrainedRow, TrainedRows
from pipeline_defs.catalogue import catalogue

SHOWN = 20


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
    lines = [f"step {options.step} of {trained.steps}, {checkpoint.kind} {short(checkpoint.id)}: {len(rows)} rows"]
    lines += [f"  {_records(row) or _place(row):<22}  {row['text']}" for row in rows]
    document = {"checkpoint": checkpoint.id, "step": options.step, "steps": trained.steps, "rows": rows}
    return Answer(document=document, lines=lines)


def preview(store: Store, table: Snapshot) -> Callable[[Mapping[str, Any], int | None, int], str]:
    """What the rows of a table say, as its domain shows them; nothing for a domain that shows none."""
    domain = catalogue().domains.get(table.kind.partition("/")[0])
    if domain is None or not domain.preview:
        return lambda row, chunk, chunks: ""
    return load(domain.preview)(store, table)


def _stored(row: TrainedRow) -> Mapping[str, Any]:
    return row.table.table(row.file).slice(row.row, 1).to_pylist()[0]


def uses(options: Namespace) -> Answer:
    """Every snapshot and checkpoint that holds, saw or learned from a record; status 1 where there is none."""
    store = default_store()
    record = find_record(store, options.record)
    nodes = all_nodes(store)
    reach = find_reach(nodes, {record}, catalogue().rules())
    carried = carried_fields((node.snapshot for node in nodes.values() if node.snapshot), {record})
    names = names_by_id(store)
    marks = withdrawn_from(store)
    entries = [_entry(store, e, record, names.get(key, []), reach, marks) for key, e in reach.effects.items()]
    unread = sorted(reach.unread)
    document = {
        "record": record.hex(),
        "carried": carried.get(record, {}),
        "splits": sorted(reach.splits),
        "uses": entries,
        "unread": unread,
    }
    return Answer(document=document, lines=list(_lines(document)), ok=bool(entries) and not unread)


def withdrawn_from(store: Store) -> dict[str, set[str]]:
    """Snapshot id -> the records (64 hex characters) that were withdrawn from it."""
    marks: dict[str, set[str]] = {}
    for document in read_tombstones(store.root):
        for key in document["marked"]:
            marks.setdefault(key, set()).update(document["records"])
    return marks


def names_by_id(store: Store) -> dict[str, list[str]]:
    """The names that stand for each snapshot now."""
    found: dict[str, list[str]] = {}
    for name in store.all_names():
        if entry := store.pointer(name):
            found.setdefault(entry["snapshot"], []).append(name)
    return found


def trained_on(store: Store, effect: Effect) -> TrainedRows | None:
    """The order of a checkpoint that was trained on tables of records; None for anything else."""
    snapshot = effect.node.snapshot
    if snapshot is None or "training.json" not in snapshot.files:
        return None
    try:
        trained = TrainedRows(store, snapshot)
    except DataError:
        return None
    return trained if trained.holds_records() else None


def _entry(
    store: Store, effect: Effect, record: bytes, names: list[str], reach: Reach, marks: Mapping[str, set[str]]
) -> dict[str, Any]:
    node, trained = effect.node, trained_on(store, effect)
    steps = trained.uses(record) if trained else None
    brought = (reach.effects[parent] for parent in effect.through)
    through = sorted({parent.node.kind for parent in brought if parent.how != HOLDS})
    return {
        "id": node.id,
        "kind": node.kind,
        "names": names,
        "how": "saw" if steps else effect.how,
        "withdrawn": record.hex() in marks.get(node.id, set()),
        "rows": dict(effect.rows),
        "steps": steps,
        "through": through,
    }


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"record {document['record']}  split: {', '.join(document['splits']) or 'none (no training table names it)'}"
    yield from (f"  {line}" for line in in_words(document["carried"]))
    for entry in document["uses"]:
        names = f"  ({', '.join(entry['names'])})" if entry["names"] else ""
        withdrawn = "  WITHDRAWN since" if entry["withdrawn"] else ""
        yield f"  {entry['how']:<10}{entry['kind']}  {short(entry['id'])}{names}{withdrawn}"
        for table, rows in entry["rows"].items():
            yield f"              {rows} rows of {table}"
        if entry["steps"] is not None:
            more = " ..." if len(entry["steps"]) > SHOWN else ""
            yield f"              {len(entry['steps'])} steps: {', '.join(map(str, entry['steps'][:SHOWN]))}{more}"
        if entry["how"] == LEARNED:
            yield "              learned from it as a whole: no row or step of it can be named"
        elif entry["through"]:
            yield f"              descends from what learned from it or names it: {', '.join(entry['through'])}"
    for key in document["unread"]:
        yield f"  UNKNOWN   {short(key)} cannot be read: whether it holds the record is not known"
    if not document["uses"] and not document["unread"]:
        yield "  nothing in this store holds it"


def _records(row: dict[str, Any]) -> str:
    return " ".join(map(short, row["records"].values()))


def _place(row: dict[str, Any]) -> str:
    chunk = "" if row["chunk"] is None else f".{row['chunk']}"
    return f"{row['kind'].rpartition('/')[2]} row {row['row']}{chunk}"
