"""Carrying out a withdrawal: new snapshots without the records, then the tombstone, then names moved to the new ones.

Everything is made before anything is said to be withdrawn: what cannot be made is refused with the store as it was.
Killed half way, asking again finds what is left to do.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets_data.lineage import IntegrityError, Snapshot, Store
from assets_data.lineage.queries.reach import HOLDS, LEARNED
from assets_data.lineage.queries.told import Told
from assets_data.lineage.queries.tree import load_node
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import Parent, Receipt
from assets_data.lineage.receipts.writer import Build
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
    for call, snapshot in work.sources:
        store.adopt(call, snapshot)
    for name, key in plan.remake.items():
        store.point(name, work.made[key])
    for name, key in plan.confirm.items():
        store.point(name, work.confirm(key))
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
    """What was made so far, by the id of what it stands in for; ``sources`` are calls of source stages and what they
    find from now on.
    """

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store, self.plan, self.told = store, plan, Told(store)
        self.made: dict[str, Snapshot] = {}
        self.sources: list[tuple[Build, Snapshot]] = []

    def make(self, name: str, key: str) -> Snapshot:
        """The snapshot that takes the place of ``key`` under ``name``, made once."""
        if key not in self.made:
            self.made[key] = self._make(name, key)
        return self.made[key]

    def confirm(self, key: str) -> Snapshot:
        """The same snapshot, made from what its parents are now: of those only a part counts, which stayed.

        Raises IntegrityError WITHDRAWAL_MISSED where it does not come out the same: the plan overlooked it.
        """
        receipt = self.told(load_node(self.store, key))
        parents: dict[str, list[Snapshot]] = {}
        for parent in receipt.parents:
            parents.setdefault(parent.input, []).append(self._now(parent))
        found = Replay(self.store).run(receipt, parents)
        if found.id != key:
            what = "a snapshot changed that the plan said stays"
            raise IntegrityError("WITHDRAWAL_MISSED", what, expected=key, found=found.id)
        return found

    def _now(self, parent: Parent) -> Snapshot:
        """What a parent is now: made again, as it was, or, of one without a name, what its kind's name
        stands for.
        """
        key = parent.id
        if key in self.plan.reach.effects and key not in self.made:
            key = (self.store.pointer(parent.kind) or {}).get("snapshot", key)
        return self.made.get(key) or self.store.snapshot(key)

    def _make(self, name: str, key: str) -> Snapshot:
        effect = self.plan.reach.effects[key]
        receipt = self.told(effect.node)
        if effect.how == HOLDS and not receipt.parents:
            return self._redact(receipt, key)
        parents: dict[str, list[Snapshot]] = {}
        for parent in receipt.parents:
            parents.setdefault(parent.input, []).append(self._parent(parent.id))
        state = self.plan.restarts.get(name, {}).get("from")
        return Replay(self.store, Path(state) if state else None).run(receipt, parents)

    def _redact(self, receipt: Receipt, key: str) -> Snapshot:
        stage = catalogue().stage(receipt.stage)
        without = load(stage.without) if stage.without else None
        old = self.store.snapshot(key)
        snapshot = redact(self.store, old, receipt, self.plan.records, stage.code, without)
        self.sources.append((source_call(receipt, stage.code), snapshot))
        return snapshot

    def _parent(self, key: str) -> Snapshot:
        """What stands in a parent's place: made again already, made now where no name stands for it, or as it was."""
        changed = self.plan.reach.effects.get(key)
        if key not in self.made and (changed is None or (changed.how == LEARNED and self.plan.learners != REBUILD)):
            return self.store.snapshot(key)
        return self.make("", key)


def _began(made: Snapshot, trained: bool) -> dict[str, int]:
    """After which step a checkpoint's training began, as its receipt says."""
    if not trained or made.receipt is None:
        return {}
    return {"from_step": read_receipt(made.receipt).arguments.get("taken_over", {}).get("update", 0)}
