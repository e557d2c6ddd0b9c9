"""``stemma rebuild``: the whole tree of a node again, in a clean store, from the receipts; stops where ids part."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assets_data.lineage import IntegrityError, Snapshot, StemmaError, StorageError, Store
from assets_data.lineage.queries.told import Told
from assets_data.lineage.queries.tree import Node, load_tree
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.storage.atomic import disk_errors
from pipeline_defs.answers.answer import Answer, plain, short
from pipeline_defs.answers.difference import environment_changes
from pipeline_defs.answers.nodes import find_home
from pipeline_defs.answers.withdrawal.replay import Replay
from pipeline_defs.catalogue import catalogue
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
    lines = [_verdict(steps), *(f"gone: {plain(what)}" for step in steps for what in step["source_gone"])]
    return Answer(document={"root": root_id, "same": same, "nodes": steps}, lines=lines, ok=same)


def _target(folder: Path, sealed: bool) -> Store:
    from pipeline_defs.sealed.launch import seal

    store = Store(folder / "store")
    return seal(store) if sealed else store


def rebuild_nodes(origin: Store, target: Store, root_id: str) -> Iterator[dict[str, Any]]:
    """One entry per node made again, parents first; the last one is the first that differs, if any does.

    ``environment_changed`` lists ``name: then -> now``; what a checkpoint's bits depend on (its threads) is among it.
    ``source_gone`` names the files from outside that are not what they were: that snapshot is then no rebuilt one but
    the store's own, hashed again, and what follows from it is rebuilt on it.
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
        found, gone = _again(replay, node, receipt, parents)
        made[node.id] = found
        yield {**_step(node, receipt, found), "source_gone": gone}
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


def _again(
    replay: Replay, node: Node, receipt: Receipt, parents: Mapping[str, list[Snapshot]]
) -> tuple[Snapshot, list[str]]:
    """The node made again; or, where what it read from outside is not there any more as it was, taken from its store,
    and the names of what is gone.
    """
    stage = catalogue().stages.get(receipt.stage)
    from_outside = bool(stage and stage.source and node.snapshot)
    try:
        found = replay.run(receipt, parents)
    except StemmaError as error:
        if not from_outside or isinstance(error, StorageError):  # no room to build in says nothing of the source
            raise
        return _taken(replay.store, node), [f"{receipt.arguments.get('slice', node.kind)}: {error}"]
    gone = _moved(receipt, read_receipt(found.receipt)) if from_outside and found.receipt else []
    if found.id == node.id or not gone:
        return found, []
    return _taken(replay.store, node), gone


def _moved(then: Receipt, now: Receipt) -> list[str]:
    """What two calls of a source stage were given by their source that is not the same, one line each."""
    old, new = ({**one.arguments, **{part.name: part.sha256 for part in one.sources}} for one in (then, now))
    where = then.arguments.get("slice", then.stage)
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return [f"{where}: {name} was {old.get(name, 'not there')}, is {new.get(name, 'not there')}" for name in names]


def _taken(target: Store, node: Node) -> Snapshot:
    """The node's own snapshot, hashed again, and its receipts, copied into the clean store."""
    if (snapshot := node.snapshot) is None or node.fault:
        raise node.fault or IntegrityError("SNAPSHOT_MISSING", "the store has no copy of it either", found=node.id)
    snapshot.verify(deep=True)
    place = target.snapshot_path(node.id)
    with disk_errors(place):
        shutil.copytree(snapshot.path, place, dirs_exist_ok=True)
    for receipt in node.receipts:
        copy = target.root / "receipts" / receipt.path.parent.name / receipt.path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(receipt.path, copy)
    return target.snapshot(node.id)


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
    if step["source_gone"]:
        return f"  taken  {step['kind']}  {short(step['found'])}  (its source is not what it was)"
    return f"  {'same' if step['same'] else 'DIFFERS'}  {step['kind']}  {short(step['found'])}{note}"


def _verdict(steps: Sequence[Mapping[str, Any]]) -> str:
    last, taken = steps[-1], sum(bool(step["source_gone"]) for step in steps)
    if last["same"]:
        kept = f"; {taken} of them taken from the store, as what they read is not what it was" if taken else ""
        return f"rebuilt: {len(steps)} nodes, every id the same{kept}"
    changed = [*(["code"] if last["code_changed"] else []), *last["environment_changed"]]
    why = ", ".join(changed) or "neither code nor environment"
    return (
        f"DIFFERS at {last['kind']}: expected {last['expected']}, found {last['found']}; "
        f"parts that differ: {', '.join(last['parts'])}; changed since: {why}; made at commit {last['commit']}"
    )
