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
from pathlib import Path
from typing import Any

from assets_data.lineage import Store, digest_file
from assets_data.lineage.digests import load_json
from assets_data.lineage.errors import StemmaError
from assets_data.lineage.queries.reach import HOLDS, LEARNED, Effect, Reach, all_nodes, find_reach
from assets_data.lineage.queries.records import parse_record
from pipeline_defs.lineage.answer import Answer, short
from pipeline_defs.lineage.steps import LEARNERS, names_by_id, trained_on
from pipeline_defs.nodes import default_store

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
        from pipeline_defs.lineage.application import apply_plan

        with contextlib.redirect_stdout(sys.stderr):  # stages speak while they work; stdout is the answer's
            document["applied"] = apply_plan(store, plan)
        lines += ["", "made again:"]
        lines += [f"  {name:<32}{short(e['old'])} -> {short(e['new'])}" for name, e in document["applied"].items()]
    return Answer(document=document, lines=lines, ok=bool(plan.reach.effects))


def make_plan(store: Store, records: Collection[bytes], learners: str) -> Plan:
    """What withdrawing ``records`` means, with learners to ``keep`` or to ``rebuild``."""
    reach = find_reach(all_nodes(store), records, LEARNERS)
    names = names_by_id(store)
    kept = {key for key, effect in reach.effects.items() if learners == KEEP and not _changes(effect, reach)}
    remake = {
        name: key
        for key in reach.effects
        if key not in kept
        for name in names.get(key, [])
        if not name.startswith("pins/")
    }
    restarts = {
        name: _restart(store, reach.effects[key], records, set(remake.values()))
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


def _changes(effect: Effect, reach: Reach) -> bool:
    """Whether a node changes though learners are kept: it holds records, or stands on something that changes."""
    if effect.how in (HOLDS, LEARNED):
        return effect.how == HOLDS
    return any(_changes(reach.effects[parent], reach) for parent in effect.through)


def _restart(store: Store, effect: Effect, records: Collection[bytes], changed: Collection[str]) -> dict[str, Any]:
    """From where a checkpoint can be trained on: the last state before the first step that took any of the records."""
    facts = effect.node.snapshot.read_json("training.json") if effect.node.snapshot else {}
    updates, seconds = facts.get("updates", 0), facts.get("seconds", 0.0)
    trained = trained_on(store, effect)
    tables = {table["snapshot"] for table in facts.get("order", {}).get("tables", [])}
    uses = sorted({step for record in records for step in trained.uses(record)}) if trained else []
    first = uses[0] if uses else None
    if trained is None and (not tables or tables & set(changed)):
        return _restart_facts(
            None, None, updates, seconds, "its rows name no records: trained again from the beginning"
        )
    says = (
        f"first taken at step {first:,} of {updates:,}, {len(uses):,} steps in all"
        if first
        else f"none of its {updates:,} steps took them"
    )
    last = first - 1 if first else updates - 1  # a run that goes on takes at least one step of its own
    clean = _last_clean(store, facts.get("run_id"), last)
    return _restart_facts(first, clean, updates, seconds, says)


def _restart_facts(first: int | None, clean: Path | None, updates: int, seconds: float, says: str) -> dict[str, Any]:
    done = int(clean.name) if clean else 0
    saved = round(seconds * done / updates, 3) if updates else 0.0
    where = f"the state after step {done:,}" if done else "the beginning"
    return {
        "first_step": first,
        "clean_step": done,
        "from": str(clean) if clean else None,
        "seconds_saved": saved,
        "says": f"{says}; goes on from {where}, which saves {saved:,.1f} s of {seconds:,.1f} s",
    }


def _last_clean(store: Store, run_id: str | None, last_step: int) -> Path | None:
    """The newest checkpoint of the run that was saved at or before ``last_step`` and still is whole."""
    if not run_id or "/" in run_id or ".." in run_id:
        return None
    folders = (store.root / "runs" / run_id / "checkpoints").glob("[0-9]*")
    clean = sorted((f for f in folders if f.name.isdigit() and 0 < int(f.name) <= last_step), reverse=True)
    return next((folder for folder in clean if _whole(folder)), None)


def _whole(folder: Path) -> bool:
    try:
        files = load_json((folder / "state.json").read_bytes(), folder)["files"]
        return all(digest_file(folder / name) == digest for name, digest in files.items())
    except (OSError, KeyError, TypeError, StemmaError):
        return False
