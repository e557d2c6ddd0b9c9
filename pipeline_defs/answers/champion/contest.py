"""Who may become champion: its gate passed, its lineage verifies, nothing judged is worse than the champion has it.

Every refusal is a coded error that says why; nothing is moved by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assets_data.documents import read_result
from assets_data.lineage import GateError, Snapshot, Store
from assets_data.lineage.queries.explain import explain
from assets_data.lineage.queries.tree import load_node, newest
from assets_data.lineage.storage.tombstones import read_tombstones
from pipeline_defs.answers.champion.standing import Promotion
from training.comparison import compare, shared_criteria
from training.job import Job
from training.recipe import find_recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenger:
    """A checkpoint with the report that judged it, and all that the report read, by input name."""

    recipe: str
    checkpoint: Snapshot
    report: Snapshot
    read: Mapping[str, Snapshot]

    @property
    def needs(self) -> list[str]:
        """Its checkpoint, gate report and preflight, as a promotion names them."""
        return [self.checkpoint.id, self.report.id, self.read["preflight"].id]

    @property
    def result(self) -> Mapping[str, Any]:
        """The report's document."""
        return read_result(self.report)


def find_challenger(
    store: Store, recipe: str, checkpoint_id: str | None = None, report_id: str | None = None
) -> Challenger:
    """The checkpoint (the recipe's current one unless another is named) with the report about it, or with that report.

    Raises GateError PROMOTE_NOT_JUDGED where no report is about that checkpoint.
    """
    wanted = checkpoint_id or store.pointed(f"{recipe}/checkpoint").id
    current = store.pointer(f"{recipe}/gate_report")
    ids = [report_id] if report_id else [current["snapshot"]] if current else []
    for key in [*ids, *store.snapshot_ids()] if checkpoint_id and not report_id else ids:
        found = _about(store, key, recipe, wanted)
        if found:
            return found
    raise GateError(
        "PROMOTE_NOT_JUDGED",
        "no gate report is about this checkpoint",
        expected=wanted,
        found=f"{recipe}/gate_report stands for {ids[0] if ids else 'nothing'}",
        action=f"materialise {recipe}/gate_report first",
    )


def require_eligible(store: Store, challenger: Challenger) -> int:
    """The number of nodes that were verified. Raises GateError PROMOTE_GATE, PROMOTE_LINEAGE or PROMOTE_WITHDRAWN."""
    gate = challenger.result["gate"]
    if gate["verdict"] != "pass":
        what = f"the gate did not pass: {'; '.join(gate['reasons'])}"
        raise GateError(
            "PROMOTE_GATE", what, expected="pass", found=gate["verdict"], where=f"{challenger.recipe}/gate_report"
        )
    if withdrawn := marked(store) & {challenger.checkpoint.id, challenger.report.id}:
        what = "withdrawn records are in its lineage"
        raise GateError("PROMOTE_WITHDRAWN", what, found=sorted(withdrawn), action="promote what took its place")
    lineage = explain(store, challenger.report.id)
    if (broken := lineage.broken) is not None:
        what = f"the lineage does not verify: {broken.kind} {broken.fault}"
        raise GateError("PROMOTE_LINEAGE", what, found=broken.id, action=f"stemma explain {challenger.report.id}")
    return len(lineage.nodes)


def contest(store: Store, challenger: Challenger, standing: Promotion | None) -> tuple[list[dict[str, Any]], str]:
    """``(comparison, how)``; no rows where there is nobody to compare with. Raises GateError PROMOTE_WORSE."""
    if standing is None:
        return [], "there was no champion before"
    if standing.checkpoint == challenger.checkpoint.id:
        return [], "the same weights, judged anew"
    if standing.checkpoint in marked(store):
        return [], "withdrawn records are in the lineage of the champion, which must go"
    old = [store.snapshot(key) for key in standing.needs]
    recipe = find_recipe(challenger.recipe)
    inputs = {name: challenger.read[name] for name in recipe.inputs}
    job = Job(store=store, recipe=recipe, inputs=inputs, preflight=challenger.read["preflight"])
    criteria, how = shared_criteria(job, *old)
    rows = compare(criteria, challenger.result["gate"]["criteria"])
    if worse := [row for row in rows if row["worse"]]:
        raise GateError(
            "PROMOTE_WORSE",
            f"worse than the champion beyond its interval: {', '.join(row['name'] for row in worse)}",
            expected={row["name"]: row["interval"] or row["champion"] for row in worse},
            found={row["name"]: row["challenger"] for row in worse},
            where=f"{challenger.recipe}/checkpoint",
            action="the champion stays; train on, or look at both with `stemma diff`",
        )
    return rows, how


def marked(store: Store) -> set[str]:
    """Every snapshot that held, learned from or descended from records when they were withdrawn."""
    return {key for document in read_tombstones(store.root) for key in document["marked"]}


def _about(store: Store, report_id: str, recipe: str, checkpoint_id: str) -> Challenger | None:
    node = load_node(store, report_id)
    if node.kind != f"{recipe}/gate_report" or node.snapshot is None or not node.receipts:
        return None
    read = {parent.input: parent.id for parent in newest(node).parents}
    if read.get("checkpoint") != checkpoint_id:
        return None
    opened = {name: store.snapshot(key) for name, key in read.items()}
    return Challenger(recipe=recipe, checkpoint=opened["checkpoint"], report=node.snapshot, read=opened)
