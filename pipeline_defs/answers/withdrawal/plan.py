"""``stemma withdraw``: what taking records out touches, what it saves to go on from a clean checkpoint, and doing it.

The plan is exact for everything that names records. What learned from them as a whole (a tokenizer, a graph) is kept
and disclosed, or made again; the choice is a person's. Nothing old is deleted: it is marked.
"""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assets_data.lineage import Store
from assets_data.lineage.queries.reach import HOLDS, LEARNED, Effect, Reach, all_nodes, find_reach
from assets_data.lineage.queries.records import parse_record
from assets_data.lineage.receipts.provenance import Provenance
from assets_data.lineage.storage.redaction import WITHDRAWN_FROM
from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.nodes import default_store
from pipeline_defs.answers.steps import LEARNERS, names_by_id
from pipeline_defs.answers.withdrawal.restarts import find_restart
from pipeline_defs.answers.withdrawal.returns import find_returns

KEEP, REBUILD = "keep", "rebuild"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``reach`` is about every node of the store; ``remake`` are the current names to make again, parents first."""

    records: frozenset[bytes]
    learners: str
    reach: Reach
    remake: Mapping[str, str]
    restarts: Mapping[str, dict[str, Any]]


def withdraw(options: Namespace) -> Answer:
    """The plan; with ``--apply`` the result. Status 1 when nothing in the store holds the records."""
    store, records = default_store(), frozenset(map(parse_record, options.records))
    plan = make_plan(store, records, options.learned)
    document = plan_document(store, plan)
    lines = list(plan_lines(document))
    if options.apply and plan.remake:
        from pipeline_defs.answers.withdrawal.apply import apply_plan

        with contextlib.redirect_stdout(sys.stderr):  # stages speak while they work; stdout is the answer's
            document["applied"] = apply_plan(store, plan)
        lines += ["", "made again:"]
        lines += [f"  {name:<32}{short(e['old'])} -> {short(e['new'])}" for name, e in document["applied"].items()]
    return Answer(document=document, lines=lines, ok=bool(plan.reach.effects))


def make_plan(store: Store, records: Collection[bytes], learners: str) -> Plan:
    """What withdrawing ``records`` means, with learners to ``keep`` or to ``rebuild``."""
    nodes = all_nodes(store)
    returns = find_returns(nodes, records)
    owners = {owner: nodes[owner] for owned in returns.values() for owner in owned}
    reach = find_reach({**owners, **nodes}, records, LEARNERS, returns)
    changed = _changed(reach, returns, learners)
    names = names_by_id(store)
    remake = {
        name: key
        for key in reach.effects
        if learners == REBUILD or reach.effects[key].how != LEARNED
        for name in names.get(key, [])
        if _due(store, name, reach.effects[key], changed, returns)
    }
    again, rebuilt = set(remake.values()), learners == REBUILD
    restarts = {
        name: find_restart(store, reach.effects[key], reach, records, again, rebuilt=rebuilt)
        for name, key in remake.items()
        if name.endswith("/checkpoint")
    }
    return Plan(records=frozenset(records), learners=learners, reach=reach, remake=remake, restarts=restarts)


def plan_document(store: Store, plan: Plan) -> dict[str, Any]:
    """The plan for programs."""
    names = names_by_id(store)
    return {
        "records": sorted(record.hex() for record in plan.records),
        "splits": sorted(plan.reach.splits),
        "affected": [
            {"id": key, "kind": e.node.kind, "how": e.how, "rows": dict(e.rows), "names": names.get(key, [])}
            for key, e in plan.reach.effects.items()
        ],
        "learned": [key for key, effect in plan.reach.effects.items() if effect.how == LEARNED],
        "learners": plan.learners,
        "remake": dict(plan.remake),
        "restarts": dict(plan.restarts),
    }


def plan_lines(document: dict[str, Any]) -> Iterator[str]:
    """The plan for people."""
    if not document["affected"]:
        yield "nothing in this store holds these records"
        return
    yield f"{len(document['records'])} records, in the splits: {', '.join(document['splits']) or 'none'}"
    for entry in document["affected"]:
        names = f"  ({', '.join(entry['names'])})" if entry["names"] else ""
        yield f"  {entry['how']:<10}{entry['kind']}  {short(entry['id'])}{names}"
    yield ""
    for key in document["learned"]:
        kind = next(entry["kind"] for entry in document["affected"] if entry["id"] == key)
        choice = "kept, and disclosed" if document["learners"] == KEEP else "made again, and all that stands on it"
        yield f"{kind} {short(key)} learned from them besides the weights: {choice}"
    if document["learned"] and document["learners"] == KEEP:
        yield "to unlearn there too: --learned rebuild (no checkpoint can then be continued)"
    for name, facts in document["restarts"].items():
        yield f"{name}: {facts['says']}"
    yield "to make again: " + (", ".join(document["remake"]) or "nothing")


def _changed(reach: Reach, returns: Collection[str], learners: str) -> set[str]:
    """The snapshots to make again: they hold records or get a text back, or every account of them read such a one.

    A single account that did not is enough: the same content was made without the records, and so are these.
    """
    changed: set[str] = set()
    for key, effect in reach.effects.items():  # parents first
        if effect.how == HOLDS or key in returns:
            changed.add(key)
        elif effect.how != LEARNED or learners == REBUILD:
            if all(_read_changed(account, changed) for account in effect.node.accounts):
                changed.add(key)
    return changed


def _due(store: Store, name: str, effect: Effect, changed: Collection[str], returns: Collection[str]) -> bool:
    """Whether a name is to be moved: by the account that it names, where it names one."""
    if effect.how == HOLDS or effect.node.id in returns:
        return True
    receipt = (store.pointer(name) or {}).get("receipt")
    named = [account for account in effect.node.accounts if receipt and account.path == store.root / receipt]
    return any(_read_changed(account, changed) for account in named) if named else effect.node.id in changed


def _read_changed(account: Provenance, changed: Collection[str]) -> bool:
    return any(parent.id in changed for parent in account.parents if parent.input != WITHDRAWN_FROM)
