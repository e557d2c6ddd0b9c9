"""``stemma uses``: from a record to everything that holds it, and to the steps that saw it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from assets_data.lineage import DataError, Store
from assets_data.lineage.queries.reach import HOLDS, LEARNED, Effect, Reach, all_nodes, find_reach
from assets_data.lineage.storage.look import rarely_collected
from assets_data.lineage.storage.tombstones import read_tombstones
from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.carried import carried_fields, in_words
from pipeline_defs.answers.nodes import default_store, find_record
from pipeline_defs.answers.trained import TrainedRows
from pipeline_defs.catalogue import catalogue

SHOWN = 20


@rarely_collected()
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
