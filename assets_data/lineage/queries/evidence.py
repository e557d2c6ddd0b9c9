"""Whether receipts agree with what is there to be seen: the published files, the parents, and the records of both.

A receipt is what somebody wrote. Whatever of it can be compared with content, or with what a parent is, is compared
here; every check raises the IntegrityError of the first contradiction. Reads columns of record ids, and JSON documents;
hashes nothing but lists of files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.queries.record_lookup import RecordLookup
from assets_data.lineage.queries.tree import Node, lost_receipts
from assets_data.lineage.receipts.byproducts import file_digests
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.snapshot_json import MANIFEST
from assets_data.lineage.storage.store import Store

Nodes = Mapping[str, Node]
Evidence = Callable[[Node, Nodes], Iterable[str]]
"""What else a node's files and receipts must agree on: a sentence for each contradiction."""

FORMER = "champion"  # an argument of a promotion
_MEMBERS = ("dataset_manifest", "manifest.json")  # the document that names what a manifest is made of
_ID = re.compile(rb"sha256:[0-9a-f]{64}")


def check_evidence(
    store: Store, node: Node, nodes: Nodes, further: Iterable[Evidence] = (), lookup: RecordLookup | None = None
) -> None:
    """Raise IntegrityError for the first contradiction between a node's receipts and anything else. ``nodes`` are the
    node and all its ancestors, at least; ``lookup`` is shared by the nodes that one question is about.
    """
    check_files(node)
    for receipt in node.receipts:
        _check_parents(store, receipt, nodes)
        _check_sources(store, receipt)
    if node.snapshot is not None:
        _check_named(store, node, node.snapshot, nodes)
        _check_records(node, node.snapshot, nodes, lookup or RecordLookup())
    for problem in (problem for evidence in further for problem in evidence(node, nodes)):
        raise IntegrityError("RECEIPT_CONTRADICTED", problem, found=node.id, where=_where(node))


def check_files(node: Node) -> None:
    """Every receipt that names files names those at hand, or is said to be outdated by one that does; and the receipt
    under which the snapshot was published is there.
    """
    if node.snapshot is None:
        return
    files = file_digests(node.snapshot)
    naming = [receipt for receipt in node.receipts if receipt.files]
    right = [receipt for receipt in naming if dict(receipt.files) == files]
    outdated = {name for receipt in right for name in receipt.replaces}
    for receipt in naming:
        if receipt not in right and receipt.id not in outdated:
            name = min(n for n in {*files, *receipt.files} if files.get(n) != receipt.files.get(n))
            what, found = f"a receipt names another {name}", files.get(name)
            raise IntegrityError(
                "RECEIPT_FILES", what, expected=receipt.files.get(name), found=found, where=receipt.path
            )
    if node.snapshot.made and node.snapshot.made not in {receipt.made for receipt in right}:
        what = "the receipt under which this was published is not there, or was edited"
        raise IntegrityError("RECEIPT_MADE", what, expected=node.snapshot.made, where=node.snapshot.path / MANIFEST)


def binding(node: Node) -> tuple[int, str]:
    """The latest schema of a node's receipts, and in words what they bind."""
    schema = max((receipt.schema for receipt in node.receipts), default=0)
    if schema > 2:
        return schema, "every file, by its receipt"
    return schema, "values and identity; its receipts name no files, so logs, settings and statistics are not bound"


def _check_parents(store: Store, receipt: Receipt, nodes: Nodes) -> None:
    """Parents are of the kind that a receipt says, and have the receipts that they had when they were read."""
    for parent in receipt.parents:
        if lost := lost_receipts(store, parent.id, parent.receipts, nodes):
            what = f"a receipt of its {parent.input} that was there when it was read is gone"
            raise IntegrityError("RECEIPT_LOST", what, expected=lost[0], where=receipt.path)
        snapshot = nodes[parent.id].snapshot if parent.id in nodes else None
        if snapshot is not None and snapshot.kind != parent.kind:
            what = f"a receipt says that its {parent.input} is of another kind"
            raise IntegrityError("RECEIPT_KIND", what, expected=snapshot.kind, found=parent.kind, where=receipt.path)


def _check_sources(store: Store, receipt: Receipt) -> None:
    """A file from outside is none of the store's snapshots: a parent that is called one is hidden from the tree."""
    for part in receipt.sources:
        if store.snapshot_path(part.sha256).exists() or store.receipts(part.sha256):
            what = "a receipt calls a snapshot of this store a file from outside"
            raise IntegrityError("RECEIPT_SOURCE", what, found=part.sha256, where=receipt.path)


def _check_named(store: Store, node: Node, snapshot: Snapshot, nodes: Nodes) -> None:
    """Every snapshot that a node's documents name is among its ancestors, or is the former champion that its receipt
    names, from which nothing was learned; a manifest's members are its parents.
    """
    promoted: list[Mapping[str, str]] = [receipt.arguments.get(FORMER) or {} for receipt in node.receipts]
    former = {value for each in promoted for value in each.values()}
    for name in snapshot.files:
        if not name.endswith(".json") or not (path := snapshot.path / name).is_file():
            continue
        known: list[Collection[str]] = [nodes, former]
        if snapshot.kind.endswith(f"/{_MEMBERS[0]}") and name == _MEMBERS[1]:
            known = [set(node.parents)]
        for found in sorted(set(_ID.findall(path.read_bytes()))):
            named = found.decode()
            if any(named in ids for ids in known) or named == node.id:
                continue
            if store.snapshot_path(named).exists():
                raise _not_a_parent(node, named, nodes, path)


def _not_a_parent(node: Node, named: str, nodes: Nodes, path: Path) -> IntegrityError:
    """The refusal of a snapshot that a document names; of one further up it says whose document that may be."""
    what, action = "its files name a snapshot that its receipts do not", None
    if named in nodes:
        what = f"it names a {nodes[named].kind} as a member, which by its receipts is an ancestor, not a parent"
        action = f"if it was made when manifests named more than their parents, make it again: materialise {node.kind}"
    return IntegrityError("RECEIPT_PARENT", what, found=named, where=path, action=action)


def _check_records(node: Node, snapshot: Snapshot, nodes: Nodes, lookup: RecordLookup) -> None:
    """The records that a node's tables name are named by its parents' tables, if those name any."""
    if not (tables := lookup.tables(snapshot)):
        return
    parents = [nodes[key].snapshot for key in node.parents if key in nodes]
    held = [parent for parent in parents if parent is not None and lookup.tables(parent)]
    if not held or None in parents or any(receipt.sources for receipt in node.receipts):
        return  # of a parent that is gone nobody knows which records it named
    for name in tables:
        wanted = lookup.sample(snapshot, name)
        left = lookup.left(wanted, held)
        if len(left):
            what = f"{len(left)} of {len(wanted)} records looked up are in none of what its receipts say it read"
            where = snapshot.path / name
            raise IntegrityError("RECEIPT_RECORDS", what, found=left[0].tobytes().hex(), where=where)


def _where(node: Node) -> Path | None:
    return node.receipts[0].path if node.receipts else None
