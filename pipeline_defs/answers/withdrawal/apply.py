"""Carrying out a withdrawal: new snapshots without the records, names moved to them, the old ones marked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.queries.reach import HOLDS, LEARNED
from assets_data.lineage.receipts.provenance import Provenance
from assets_data.lineage.receipts.receipt import read_provenance
from assets_data.lineage.storage.redaction import redact
from pipeline_defs.answers.withdrawal.marks import write_mark
from pipeline_defs.answers.withdrawal.plan import REBUILD, Plan
from pipeline_defs.answers.withdrawal.replay import Replay, newest


def apply_plan(store: Store, plan: Plan) -> dict[str, dict[str, Any]]:
    """Make every name of the plan again, parents first; ``{name: {"old", "new"}}``, of checkpoints ``"from_step"`` too.

    That is earlier than planned where a text comes back which a withdrawn one had kept out.
    A mark is written first: killed half way, the names not yet moved are found by asking again.
    """
    mark(store, plan, {})
    made: dict[str, Snapshot] = {}
    moved: dict[str, dict[str, Any]] = {}
    for name, key in plan.remake.items():
        if key not in made:
            made[key] = _make(store, plan, name, key, made)
        store.point(name, made[key])
        moved[name] = {"old": key, "new": made[key].id, **_began(made[key], name in plan.restarts)}
    mark(store, plan, moved)
    return moved


def mark(store: Store, plan: Plan, moved: dict[str, dict[str, Any]]) -> Path:
    """Write what was withdrawn from what: the old snapshots stay, and ``uses`` says so of them."""
    document = {
        "records": sorted(record.hex() for record in plan.records),
        "learners": plan.learners,
        "marked": sorted(plan.reach.effects),
        "disclosed": sorted(key for key, e in plan.reach.effects.items() if e.how == LEARNED)
        if plan.learners != REBUILD
        else [],
        "moved": moved,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return write_mark(store, document)


def _began(made: Snapshot, trained: bool) -> dict[str, int]:
    """After which step a checkpoint's training began, as its receipt says."""
    if not trained or made.receipt is None:
        return {}
    return {"from_step": read_provenance(made.receipt).arguments.get("origin", {}).get("update", 0)}


def _make(store: Store, plan: Plan, name: str, key: str, made: dict[str, Snapshot]) -> Snapshot:
    effect = plan.reach.effects[key]
    if effect.how == HOLDS and not [parent for parent in effect.node.parents if parent in plan.reach.effects]:
        return redact(store, store.snapshot(key), plan.records)
    account = newest(effect.node)
    if account.stage == "text/duplicates":  # it indexes the slices itself
        parents = {"raw_slice": [_parent(store, plan, raw, made) for raw in account.arguments["raw_slices"]]}
    else:
        parents = _parents(store, plan, account, made)
    state = plan.restarts.get(name, {}).get("from")
    replay = Replay(store, lambda _account, _raw: _duplicates(store, plan, made), Path(state) if state else None)
    return replay.run(account, parents)


def _parents(store: Store, plan: Plan, account: Provenance, made: dict[str, Snapshot]) -> dict[str, list[Snapshot]]:
    parents: dict[str, list[Snapshot]] = {}
    for parent in account.parents:
        parents.setdefault(parent.input, []).append(_parent(store, plan, parent.id, made))
    return parents


def _parent(store: Store, plan: Plan, key: str, made: dict[str, Snapshot]) -> Snapshot:
    """What stands in a parent's place: made again already, made now where no name stands for it, or as it was."""
    if key in made:
        return made[key]
    changed = plan.reach.effects.get(key)
    if changed is None or (changed.how == LEARNED and plan.learners != REBUILD):
        return store.snapshot(key)
    made[key] = _make(store, plan, "", key, made)
    return made[key]


def _duplicates(store: Store, plan: Plan, made: dict[str, Snapshot]) -> Snapshot | None:
    """The drop lists in force, made again before the first triples that need them."""
    if (key := plan.remake.get("text/duplicates")) is not None:
        made[key] = made.get(key) or _make(store, plan, "", key, made)
        return made[key]
    return store.pointed("text/duplicates") if store.pointer("text/duplicates") else None
