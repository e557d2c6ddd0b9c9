"""``stemma withdraw``: which records are meant, the plan for them, and carrying it out when told to."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections.abc import Iterable

import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets_data.lineage import DataError, Snapshot, Store
from assets_data.lineage.identity.record_ids import COLUMN
from assets_data.lineage.identity.tables import table_schema
from assets_data.lineage.queries.reach import all_nodes
from assets_data.lineage.storage.records import record_tables
from assets_data.stage import load
from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.nodes import default_store, find_record
from pipeline_defs.answers.withdrawal.plan import make_plan, plan_document, plan_lines
from pipeline_defs.catalogue import catalogue
from pipeline_defs.home import stemma_root
from pipeline_defs.locks import ROOT_LOCK, hold

GROUP = "group_id"


def withdraw(options: Namespace) -> Answer:
    """The plan; with ``--apply`` the result. Status 1 when nothing in the store holds the records, or none can say."""
    store = default_store()
    with contextlib.ExitStack() as stack:
        if options.apply:  # names move: nothing else may move them meanwhile
            stack.enter_context(hold(stemma_root() / ROOT_LOCK, "stemma withdraw --apply"))
        records, alike = chosen_records(store, options)
        plan = make_plan(store, records, options.learned)
        document = plan_document(store, plan) | {"alike": sorted(record.hex() for record in alike)}
        lines = [*_alike_lines(alike), *plan_lines(document)]
        if options.apply and plan.remake:
            from pipeline_defs.answers.withdrawal.apply import apply_plan

            with contextlib.redirect_stdout(sys.stderr):  # stages speak while they work; stdout is the answer's
                document["applied"] = apply_plan(store, plan)
            lines += ["", "made again:"]
            lines += [f"  {name:<32}{short(e['old'])} -> {short(e['new'])}" for name, e in document["applied"].items()]
    return Answer(document=document, lines=lines, ok=bool(plan.reach.effects) and not plan.reach.unread)


def chosen_records(store: Store, options: Namespace) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """``(all records meant, those among them that only stand for the same content as one that was named)``.

    Raises DataError GROUP_UNKNOWN or WHERE_UNKNOWN for what no table says, NOTHING_NAMED when nothing was asked for.
    """
    snapshots = [node.snapshot for node in all_nodes(store).values() if node.snapshot]
    named = {find_record(store, text) for text in options.records}
    for group in options.group:
        named |= group_records(snapshots, group)
    for condition in options.where:
        named |= records_where(snapshots, *_condition(condition))
    if not named:
        raise DataError("NOTHING_NAMED", "name records, a group with --group, or what they say with --where")
    every = set(named)
    for domain in catalogue().domains.values() if not options.only_these else ():
        if domain.alike:
            every |= load(domain.alike)(snapshots, every)
    return frozenset(every), frozenset(every - named)


def group_records(snapshots: Iterable[Snapshot], group: str) -> set[bytes]:
    """The records that some table says belong to a group. Raises DataError GROUP_UNKNOWN."""
    if not (found := _records(snapshots, GROUP, group)):
        raise DataError("GROUP_UNKNOWN", "no record in this store belongs to this group", found=group)
    return found


def records_where(snapshots: Iterable[Snapshot], column: str, value: str) -> set[bytes]:
    """The records of which some table says ``value`` in a column: a donor, a batch, a file.

    Raises DataError WHERE_UNKNOWN where none does.
    """
    if not (found := _records(snapshots, column, value)):
        what, action = "no table of records in this store says this", "look at the source's tables for its columns"
        raise DataError("WHERE_UNKNOWN", what, found=f"{column}={value}", action=action)
    return found


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not (column and equals):
        raise DataError("WHERE_UNKNOWN", "a condition is COLUMN=VALUE", found=text)
    return column, value


def _records(snapshots: Iterable[Snapshot], column: str, value: str) -> set[bytes]:
    found: set[bytes] = set()
    for snapshot in snapshots:
        for name in record_tables(snapshot):
            path = snapshot.file(name)
            if path.suffix == ".parquet" and {column, COLUMN} <= set(table_schema(path).names):
                rows = pq.read_table(path, columns=[COLUMN], filters=pc.field(column).cast("string") == value)
                found.update(bytes.fromhex(r) if isinstance(r, str) else r for r in rows[COLUMN].to_pylist())
    return found


def _alike_lines(alike: Iterable[bytes]) -> list[str]:
    spelled = sorted(record.hex() for record in alike)
    if not spelled:
        return []
    return [
        f"{len(spelled)} records more say the same in another spelling: {', '.join(s[:12] for s in spelled[:5])}"
        f"{' ...' if len(spelled) > 5 else ''} (--only-these leaves them)"
    ]
