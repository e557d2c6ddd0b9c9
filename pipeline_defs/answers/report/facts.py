"""What a report says of a judged checkpoint, gathered from the store alone: verdict, margins, curves, data, lineage."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assets_data.documents import read_facts, read_registration, read_result
from assets_data.lineage import Snapshot, Store
from assets_data.lineage.queries.explain import Tree, explain
from assets_data.lineage.queries.tree import load_tree, newest
from pipeline_defs.answers.carried import tally
from pipeline_defs.answers.champion.contest import Challenger, find_challenger
from pipeline_defs.answers.champion.standing import champion
from pipeline_defs.answers.explain import tree_lines
from training.comparison import compare, evaluation_digest, same_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """``rows`` are the judged criteria with their margins; ``changes`` compare them with the champion's, ``against``
    says which that is or why there is none; ``intact`` is None where nothing was hashed.
    """

    recipe: str
    ids: Mapping[str, str]
    gate: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    scalars: Mapping[str, Any]
    curves: Mapping[str, Mapping[str, Sequence[float]]]
    training: Mapping[str, Any]
    data: Sequence[tuple[str, str]]
    changes: Sequence[Mapping[str, Any]]
    against: str
    lineage: Sequence[str]
    lineage_verdict: str
    intact: bool | None
    commands: Sequence[str]


def gather(store: Store, report: Snapshot, *, hashed: bool = True) -> Facts:
    """The facts of a gate report's snapshot; with ``hashed`` every byte of the lineage is hashed again."""
    recipe = report.kind.partition("/")[0]
    challenger = find_challenger(store, recipe, _checkpoint_of(store, report), report.id)
    result, training = challenger.result, read_facts(challenger.checkpoint)
    tree = (
        explain(store, report.id)
        if hashed
        else Tree(root=report.id, nodes=load_tree(store, [report.id]), hashed_bytes=0)
    )
    changes, against = _against_champion(store, challenger)
    intact, verdict = _verdict(tree, hashed)
    return Facts(
        recipe=recipe,
        ids={
            "gate report": report.id,
            "checkpoint": challenger.checkpoint.id,
            "preflight": challenger.read["preflight"].id,
        },
        gate=result["gate"],
        rows=[margin_row(criterion) for criterion in result["gate"]["criteria"]],
        scalars={k: v for k, v in result["metrics"]["scalars"].items() if isinstance(v, bool | int | float)},
        curves=result["metrics"]["curves"],
        training={k: v for k, v in training.items() if isinstance(v, bool | int | float | str)},
        data=_data(tree, challenger.read["preflight"]),
        changes=changes,
        against=against,
        lineage=list(tree_lines(tree)),
        lineage_verdict=verdict,
        intact=intact,
        commands=_commands(store, challenger),
    )


def margin_row(criterion: Mapping[str, Any]) -> dict[str, Any]:
    """A criterion with ``margin``: how far its value is on the right side of the threshold, in its own unit."""
    value, threshold = criterion["value"], criterion["threshold"]
    sign = 1 if criterion["direction"] == "above" else -1
    return {**criterion, "margin": None if value is None else sign * (value - threshold)}


def _checkpoint_of(store: Store, report: Snapshot) -> str:
    node = load_tree(store, [report.id])[report.id]
    return next(parent.id for parent in newest(node).parents if parent.input == "checkpoint")


def _against_champion(store: Store, challenger: Challenger) -> tuple[list[dict[str, Any]], str]:
    standing = champion(store, challenger.recipe)
    if standing is None:
        return [], "no champion yet"
    if standing.checkpoint == challenger.checkpoint.id:
        return [], "this is the champion"
    _, report, preflight = (store.snapshot(key) for key in standing.needs)
    mine = challenger.read["preflight"]
    if evaluation_digest(preflight) != evaluation_digest(mine) or not same_rows(preflight, mine):
        return (
            [],
            f"the champion {standing.checkpoint[7:19]} was judged by another registration: "
            "`stemma promote` judges it again",
        )
    rows = compare(read_result(report)["gate"]["criteria"], challenger.result["gate"]["criteria"])
    return rows, f"against the champion {standing.checkpoint[7:19]}, by the same registration"


def _verdict(tree: Tree, hashed: bool) -> tuple[bool | None, str]:
    if not hashed:
        return None, f"{len(tree.nodes)} nodes, not hashed for this page: `stemma explain` does"
    if (broken := tree.broken) is not None:
        return False, f"BROKEN at {broken.kind} {broken.id[7:19]}: {broken.fault}"
    return True, f"intact: {len(tree.nodes)} nodes, {tree.hashed_bytes:,} bytes hashed again"


def _data(tree: Tree, preflight: Snapshot) -> list[tuple[str, str]]:
    """The checkpoint's ancestors by kind, then what the preflight says of the data set."""
    kinds = Counter(node.kind for node in tree.nodes.values())
    records = Counter[str]()
    for node in tree.nodes.values():
        if node.snapshot and node.snapshot.content["records"]:
            records[node.kind] += node.snapshot.content["records"]["count"]
    rows = [
        (
            kind,
            f"{count} snapshot{'s' if count > 1 else ''}" + (f", {records[kind]:,} records" if records[kind] else ""),
        )
        for kind, count in kinds.items()
    ]
    rows += tally(node.snapshot for node in tree.nodes.values() if node.snapshot)
    dataset = read_registration(preflight)["dataset"]
    return rows + [(k, f"{v:,}") for k, v in sorted(dataset.items()) if isinstance(v, int | float)]


def _commands(store: Store, challenger: Challenger) -> list[str]:
    """From the receipts: the commit, the command that asks for the same, and the two that check."""
    made = newest(load_tree(store, [challenger.checkpoint.id])[challenger.checkpoint.id])
    asked = newest(load_tree(store, [challenger.read["preflight"].id])[challenger.read["preflight"].id]).requested
    sets = [
        f"--set {shlex.quote(f'{challenger.recipe}.{k}={json.dumps(v)}')}"
        for k, v in asked.get("overrides", {}).items()
    ]
    preset = [f"--preset {asked['preset']}"] if asked.get("preset") else []
    checkout = [f"git checkout {made.commit}" + ("   # and the uncommitted changes of then" if made.dirty else "")]
    return [
        *(checkout if made.commit else []),
        " ".join([f"stemma run --recipe {challenger.recipe}", *preset, *sets]),
        f"stemma rebuild {challenger.checkpoint.id[7:19]}",
        f"stemma explain {challenger.checkpoint.id[7:19]}",
    ]
