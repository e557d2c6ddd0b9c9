"""Carrying out a withdrawal: new snapshots without the records, then the tombstone, then names moved to the new ones.

Everything is made before anything is said to be withdrawn: what cannot be made is refused with the store as it was.
Killed half way, asking again finds what is left to do.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.queries.reach import HOLDS, LEARNED
from assets_data.lineage.queries.tree import newest
from assets_data.lineage.receipts.provenance import Provenance
from assets_data.lineage.storage.redaction import redact, source_call
from assets_data.lineage.storage.tombstones import write_tombstone
from assets_data.stage import load
from pipeline_defs.answers.withdrawal.plan import REBUILD, Plan
from pipeline_defs.answers.withdrawal.replay import Replay
from pipeline_defs.catalogue import catalogue


def apply_plan(store: Store, plan: Plan) -> dict[str, dict[str, Any]]:
    """Make every name of the plan again, parents first; ``{name: {"old", "new"}}``, of checkpoints ``"from_step"`` too.

    That is earlier than planned where a text comes back which a withdrawn one had kept out.
    """
    work = _Work(dataclasses.replace(store, withdrawing=plan.records), plan)
    moved: dict[str, dict[str, Any]] = {}
    for name, key in plan.remake.items():
        made = work.make(name, key)
        moved[name] = {"old": key, "new": made.id, **_began(made, name in plan.restarts)}
    write_tombstone(store.root, tombstone(plan, moved))
    for account, snapshot in work.sources:
        if stage := catalogue().stages.get(account.stage):
            store.adopt(source_call(account, stage.code), snapshot)
    for name, key in plan.remake.items():
        store.point(name, work.made[key])
    return moved


def tombstone(plan: Plan, moved: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The document that keeps the records out from now on, and says of the old snapshots that they held them."""
    made = {entry["new"] for entry in moved.values()}
    effects = plan.reach.effects
    return {
        "records": sorted(record.hex() for record in plan.records),
        "learners": plan.learners,
        "marked": sorted(set(effects) - made),
        "disclosed": sorted(key for key, e in effects.items() if e.how == LEARNED) if plan.learners != REBUILD else [],
        "moved": moved,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class _Work:
    """What was made so far, by the id of what it stands in for; ``sources`` are accounts and what replaced them."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store, self.plan = store, plan
        self.made: dict[str, Snapshot] = {}
        self.sources: list[tuple[Provenance, Snapshot]] = []

    def make(self, name: str, key: str) -> Snapshot:
        """The snapshot that takes the place of ``key`` under ``name``, made once."""
        if key not in self.made:
            self.made[key] = self._make(name, key)
        return self.made[key]

    def _make(self, name: str, key: str) -> Snapshot:
        effect = self.plan.reach.effects[key]
        account = newest(effect.node)
        if effect.how == HOLDS and not account.parents:
            return self._redact(account, key)
        parents: dict[str, list[Snapshot]] = {}
        for parent in account.parents:
            parents.setdefault(parent.input, []).append(self._parent(parent.id))
        state = self.plan.restarts.get(name, {}).get("from")
        return Replay(self.store, Path(state) if state else None).run(account, parents)

    def _redact(self, account: Provenance, key: str) -> Snapshot:
        stage = catalogue().stages.get(account.stage)
        without = load(stage.without) if stage and stage.without else None
        snapshot = redact(self.store, self.store.snapshot(key), account, self.plan.records, without)
        self.sources.append((account, snapshot))
        return snapshot

    def _parent(self, key: str) -> Snapshot:
        """What stands in a parent's place: made again already, made now where no name stands for it, or as it was."""
        changed = self.plan.reach.effects.get(key)
        if key not in self.made and (changed is None or (changed.how == LEARNED and self.plan.learners != REBUILD)):
            return self.store.snapshot(key)
        return self.make("", key)


def _began(made: Snapshot, trained: bool) -> dict[str, int]:
    """After which step a checkpoint's training began, as it says itself."""
    if not trained:
        return {}
    facts = made.read_json("training.json")
    return {"from_step": (facts.get("taken_over") or facts.get("origin") or {}).get("update", 0)}
