"""Why each snapshot stays: what needs it directly, and what descends from it. What nothing needs may go.

A snapshot stays with all its ancestors for: a name (a slice's, an asset's, a branch's, a pin), a recipe's champion and
the one before it, a legal hold, a signature or a proof that was given out, or a run that made or used it lately.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assets_data.documents import read_facts
from assets_data.lineage import Store
from assets_data.lineage.errors import StemmaError
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.queries.reach import all_nodes
from assets_data.lineage.queries.tree import Node
from pipeline_defs.answers.champion.standing import champions, is_promotion, read_promotion
from pipeline_defs.answers.retention.holds import read_holds

DAYS = 14.0
LEAST_S = 3600.0  # however few days were asked for: what a run published a moment ago has no name yet
PROOFS = "proofs"  # below the store's root: a note of every proof that was written to a file

Reasons = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """``direct``: id to why, for those that are needed themselves. ``kept``: the same for them and all their ancestors,
    which say what descends from them. ``free``: the others, children before parents. ``nodes`` are all, parents first.
    """

    nodes: dict[str, Node]
    direct: Reasons
    kept: Reasons
    free: list[str]


def find_needs(store: Store, days: float = DAYS) -> Needs:
    """Look at every snapshot of the store. Reads names, holds and signatures strictly: one unreadable ends it."""
    nodes = all_nodes(store)
    direct = _direct(store, nodes, max(days * 86400, LEAST_S))
    kept = with_ancestors(nodes, direct)
    free = [key for key, node in reversed(nodes.items()) if key not in kept and node.snapshot]
    return Needs(nodes=nodes, direct=direct, kept=kept, free=free)


def with_ancestors(nodes: dict[str, Node], direct: Reasons) -> Reasons:
    """The needed ones and all their ancestors."""
    kept = {key: list(reasons) for key, reasons in direct.items()}
    for key in reversed(nodes):  # children first
        if key in kept:
            for parent in nodes[key].parents if _whole_tree(nodes[key]) else []:
                kept.setdefault(parent, [f"{nodes[key].kind} {key[7:19]} descends from it"])
    return kept


def _whole_tree(node: Node) -> bool:
    """Of a promotion that is only history the tree may go: the standing one's is needed by the champion itself."""
    return not is_promotion(node.kind)


def _direct(store: Store, nodes: Mapping[str, Node], recent_s: float) -> Reasons:
    found: dict[str, list[str]] = defaultdict(list)
    for name in store.all_names():
        if entry := store.pointer(name):
            found[entry["snapshot"]].append(f"the name {name}")
    for recipe, standing in champions(store).items():
        for key in standing.needs:
            found[key].append(f"champion of {recipe}")
        if before := standing.document["before"]:
            for key in _needs_of(store, before["promotion"]):
                found[key].append(f"the champion of {recipe} before, for a rollback")
    for hold in read_holds(store):
        found[hold["snapshot"]].append(f"legal hold: {hold['reason']}")
    for key in _signed(store):
        found[key].append("it is signed")
    for key in _proven(store):
        found[key].append("a proof about it was given out")
    for key, node in nodes.items():
        if is_promotion(node.kind):
            found[key].append("history of champions")
        if node.snapshot and (age := time.time() - node.snapshot.path.stat().st_mtime) < recent_s:
            found[key].append(f"made or used {age / 86400:.1f} days ago")
    return dict(found)


def _needs_of(store: Store, promotion: str) -> Iterable[str]:
    try:
        return read_promotion(store, promotion).needs
    except StemmaError:  # history that is gone needs nothing
        return []


def _signed(store: Store) -> Iterable[str]:
    return [f"sha256:{path.name.partition('.')[0]}" for path in (store.root / "signatures").glob("*.bundle.json")]


def _proven(store: Store) -> Iterable[str]:
    return [load_json(path.read_bytes(), path)["snapshot"] for path in sorted((store.root / PROOFS).glob("*.json"))]


def needed_runs(nodes: Mapping[str, Node], kept: Iterable[str]) -> set[str]:
    """The run directories of the checkpoints that stay: withdrawals and branches go on from their states."""
    found: set[str] = set()
    for key in kept:
        node = nodes.get(key)
        if node and node.snapshot and "training.json" in node.snapshot.files:
            found.add(read_facts(node.snapshot)["run_id"])
    return found


def last_change(folder: Path) -> float:
    """When anything directly in a run directory, or its folder of states, was written last (seconds since 1970)."""
    paths = [folder, *folder.glob("*"), *(folder / "checkpoints").glob("*")]
    return max(path.lstat().st_mtime for path in paths)
