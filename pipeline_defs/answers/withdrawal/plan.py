"""What taking records out touches, and what it saves to go on from a clean checkpoint. Changes nothing.

The plan is exact for everything that names records. What learned from them as a whole (a tokenizer, a graph) is kept
and disclosed, or made again; the choice is a person's. Nothing old is deleted: it is marked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assets_data.lineage import Store
from assets_data.lineage.queries.reach import HOLDS, LEARNED, Effect, Reach, all_nodes, find_reach
from assets_data.lineage.queries.told import Told
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.receipts.receipt import Receipt
from pipeline_defs.answers.answer import short
from pipeline_defs.answers.champion.standing import is_promotion
from pipeline_defs.answers.uses import names_by_id
from pipeline_defs.answers.withdrawal.restarts import find_restart
from pipeline_defs.catalogue import catalogue

KEEP, REBUILD = "keep", "rebuild"
NOTHING_HOLDS = "nothing in this store holds these records"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``reach`` is about every node of the store; ``remake`` are the current names to make again, parents first.

    ``confirm`` are names that stay as they are although a parent is made again, of which only a part counts for them:
    a new receipt says so.
    """

    records: frozenset[bytes]
    learners: str
    reach: Reach
    remake: Mapping[str, str]
    confirm: Mapping[str, str]
    restarts: Mapping[str, dict[str, Any]]


def make_plan(store: Store, records: Collection[bytes], learners: str) -> Plan:
    """What withdrawing ``records`` means, with learners to ``keep`` or to ``rebuild``."""
    nodes = all_nodes(store)
    reach = find_reach(nodes, records, catalogue().rules())
    changed = _changed(reach, learners)
    names = _moved_by_withdrawals(store)
    remake = {
        name: key
        for key in reach.effects
        if learners == REBUILD or reach.effects[key].how != LEARNED
        for name in names.get(key, [])
        if _due(store, name, reach.effects[key], changed)
    }
    again, rebuilt = set(remake.values()), learners == REBUILD
    restarts = {
        name: find_restart(store, reach.effects[key], reach, records, again, rebuilt=rebuilt)
        for name, key in remake.items()
        if name.endswith("/checkpoint")
    }
    confirm = _confirm(nodes, names, again, changed, Told(store))
    return Plan(
        records=frozenset(records),
        learners=learners,
        reach=reach,
        remake=remake,
        confirm=confirm,
        restarts=restarts,
    )


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
        "unread": sorted(plan.reach.unread),
        "learned": [key for key, effect in plan.reach.effects.items() if effect.how == LEARNED],
        "learners": plan.learners,
        "remake": dict(plan.remake),
        "champions": sorted(n for key in plan.reach.effects for n in names.get(key, []) if is_promotion(n)),
        "bytes_stay": True,
        "restarts": dict(plan.restarts),
    }


def plan_lines(document: dict[str, Any]) -> Iterator[str]:
    """The plan for people."""
    for key in document["unread"]:
        yield f"UNKNOWN   {short(key)} cannot be read: whether it holds them is not known"
    if not document["affected"]:
        yield "nothing that can be read holds these records" if document["unread"] else NOTHING_HOLDS
        return
    yield f"{len(document['records'])} records, in the splits: {', '.join(document['splits']) or 'none'}"
    for entry in document["affected"]:
        names = f"  ({', '.join(entry['names'])})" if entry["names"] else ""
        yield f"  {entry['how']:<10}{entry['kind']}  {short(entry['id'])}{names}"
    yield ""
    for key in document["learned"]:
        kind = next(entry["kind"] for entry in document["affected"] if entry["id"] == key)
        choice = "kept, and disclosed" if document["learners"] == KEEP else "made again, and all its descendants"
        yield f"{kind} {short(key)} learned from them besides the weights: {choice}"
    if document["learned"] and document["learners"] == KEEP:
        yield "to unlearn there too: --learned rebuild (no checkpoint can then be continued)"
    for name, facts in document["restarts"].items():
        yield f"{name}: {facts['says']}"
    yield "to make again: " + (", ".join(document["remake"]) or "nothing")
    for name in document["champions"]:
        yield f"{name} descends from them: promote what takes its place, with `stemma promote {name.partition('/')[0]}`"
    yield "the bytes stay: old snapshots, and previews in Dagster's database, are removed by `stemma gc --withdrawn`"


def _moved_by_withdrawals(store: Store) -> dict[str, list[str]]:
    """The names that stand for each snapshot, but for champions: what ships is moved by a promotion alone."""
    return {key: [n for n in names if not is_promotion(n)] for key, names in names_by_id(store).items()}


def _confirm(
    nodes: Mapping[str, Node],
    names: Mapping[str, list[str]],
    again: Collection[str],
    changed: Collection[str],
    told: Told,
) -> dict[str, str]:
    """Current names of snapshots that are not made again and read, in part, one that is, or one that would be if a name
    still stood for it.
    """
    part = catalogue().rules().part
    found: dict[str, str] = {}
    for key, node in nodes.items():
        if key in names and key not in again and node.receipts:
            read = [parent for parent in told(node).parents if part(node.kind, parent.input)]
            if any(parent.id in again or parent.id in changed for parent in read):
                found |= dict.fromkeys(names[key], key)
    return found


def _changed(reach: Reach, learners: str) -> set[str]:
    """The snapshots to make again: they hold records, or every receipt of them read such a one.

    Two receipts of one snapshot mean that the same content was made in two ways. If one of the ways never touched the
    records, the content does not depend on them, and it stays.
    """
    changed: set[str] = set()
    for key, effect in reach.effects.items():  # parents first
        if effect.how == HOLDS:
            changed.add(key)
        elif effect.how != LEARNED or learners == REBUILD:
            if all(_read_changed(receipt, effect, changed) for receipt in effect.node.receipts):
                changed.add(key)
    return changed


def _due(store: Store, name: str, effect: Effect, changed: Collection[str]) -> bool:
    """Whether a name is to be moved: by the receipt that it names, where it names one."""
    if effect.how == HOLDS:
        return True
    pointed = (store.pointer(name) or {}).get("receipt")
    named = [receipt for receipt in effect.node.receipts if pointed and receipt.path == store.root / pointed]
    return any(_read_changed(a, effect, changed) for a in named) if named else effect.node.id in changed


def _read_changed(receipt: Receipt, effect: Effect, changed: Collection[str]) -> bool:
    """Whether a parent that counts for this snapshot is made again."""
    return any(parent.id in changed and parent.id in effect.through for parent in receipt.parents)
