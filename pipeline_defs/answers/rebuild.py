"""``stemma rebuild``: the whole tree of a node again, in a clean store, from the receipts; stops where ids part."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.queries.told import Told
from assets_data.lineage.queries.tree import Node, load_tree
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import Receipt
from pipeline_defs.answers.answer import Answer, plain, short
from pipeline_defs.answers.difference import environment_changes
from pipeline_defs.answers.nodes import find_home
from pipeline_defs.answers.withdrawal.replay import Replay
from pipeline_defs.home import stemma_root


def rebuild(options: Namespace) -> Answer:
    """Every ancestor and the node itself made again; status 1 at the first id that differs."""
    origin, root_id = find_home(options.node)
    folder = Path(options.into) if options.into else Path(tempfile.mkdtemp(prefix="rebuild-", dir=stemma_root()))
    steps: list[dict[str, Any]] = []
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stages speak while they work; stdout is the answer's
            for step in rebuild_nodes(origin, _target(folder, options.sealed), root_id):
                steps.append(step)
                print(plain(_line(step)), flush=True)
    finally:
        if not options.into:
            shutil.rmtree(folder, ignore_errors=True)
    same = all(step["same"] for step in steps)
    lines = [_verdict(steps[-1], len(steps))]
    return Answer(document={"root": root_id, "same": same, "nodes": steps}, lines=lines, ok=same)


def _target(folder: Path, sealed: bool) -> Store:
    from pipeline_defs.sealed.launch import seal

    store = Store(folder / "store")
    return seal(store) if sealed else store


def rebuild_nodes(origin: Store, target: Store, root_id: str) -> Iterator[dict[str, Any]]:
    """One entry per node made again, parents first; the last one is the first that differs, if any does.

    ``environment_changed`` lists ``name: then -> now``; what a checkpoint's bits depend on (its threads) is among it.
    """
    told = Told(origin)
    nodes = _chosen(load_tree(origin, [root_id]), root_id, told)
    made: dict[str, Snapshot] = {}
    replay = Replay(target)
    for node in nodes.values():
        receipt = told(node)
        parents: dict[str, list[Snapshot]] = {}
        for parent in receipt.parents:
            parents.setdefault(parent.input, []).append(made[parent.id])
        made[node.id] = found = replay.run(receipt, parents)
        yield _step(node, receipt, found)
        if found.id != node.id:
            return


def _chosen(tree: Mapping[str, Node], root_id: str, told: Told) -> dict[str, Node]:
    """The nodes that the receipt of each of them that counts leads to, parents first."""
    needed, pending = set(), [root_id]
    while pending:
        if (node_id := pending.pop()) not in needed:
            needed.add(node_id)
            pending += [parent.id for parent in told(tree[node_id]).parents]
    return {key: node for key, node in tree.items() if key in needed}


def _step(node: Node, receipt: Receipt, found: Snapshot) -> dict[str, Any]:
    now = read_receipt(found.receipt) if found.receipt else receipt
    old_parts = node.snapshot.content["parts"] if node.snapshot else {}
    new_parts = found.content["parts"]
    parts = [name for name in sorted({*old_parts, *new_parts}) if old_parts.get(name) != new_parts.get(name)]
    return {
        "kind": node.kind,
        "expected": node.id,
        "found": found.id,
        "same": node.id == found.id,
        "parts": parts,
        "code_changed": now.code_version != receipt.code_version,
        "environment_changed": environment_changes(receipt, node.snapshot, now, found),
        "commit": receipt.commit,
    }


def _line(step: dict[str, Any]) -> str:
    notes = [name for name in ("code_changed", "environment_changed") if step[name]]
    note = f"  ({', '.join(notes).replace('_', ' ')} since)" if notes else ""
    return f"  {'same' if step['same'] else 'DIFFERS'}  {step['kind']}  {short(step['found'])}{note}"


def _verdict(last: dict[str, Any], count: int) -> str:
    if last["same"]:
        return f"rebuilt: {count} nodes, every id the same"
    changed = [*(["code"] if last["code_changed"] else []), *last["environment_changed"]]
    why = ", ".join(changed) or "neither code nor environment"
    return (
        f"DIFFERS at {last['kind']}: expected {last['expected']}, found {last['found']}; "
        f"parts that differ: {', '.join(last['parts'])}; changed since: {why}; made at commit {last['commit']}"
    )
