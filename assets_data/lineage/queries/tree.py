"""The tree below a node: snapshots and the receipts that connect them, read from the store alone.

Promises parents before children, each node once, and that a node which cannot be read is in the tree with its fault
instead of ending the walk. Hashes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assets_data.lineage.errors import IntegrityError, StemmaError
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.storage.deletions import find_deletion
from assets_data.lineage.storage.sealing import SEALED
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.store import Store


@dataclass(slots=True, kw_only=True)
class Node:
    """A place in the tree: a snapshot with all its receipts, or (``snapshot`` None) the id of one that cannot be read.

    ``fault`` is the first thing that is wrong with it. ``deletion`` is what a deletion receipt keeps of a snapshot that
    was removed on purpose: its content, from which the id follows, and its files by digest. That is no fault.
    """

    id: str
    kind: str
    snapshot: Snapshot | None = None
    receipts: list[Receipt] = field(default_factory=list)
    fault: StemmaError | None = None
    deletion: Mapping[str, Any] | None = None

    @property
    def parents(self) -> list[str]:
        """Ids of every snapshot that any of the receipts read, each once, in the order read."""
        return list(dict.fromkeys(parent.id for receipt in self.receipts for parent in receipt.parents))


def load_tree(store: Store, roots: Iterable[str]) -> dict[str, Node]:
    """Every ancestor of ``roots`` and the roots themselves, parents before children."""
    done: dict[str, Node] = {}
    loaded: dict[str, Node] = {}
    pending = [(_full(root), "?") for root in reversed(list(roots))]
    while pending:
        snapshot_id, kind = pending[-1]
        if snapshot_id in done:
            pending.pop()
        elif snapshot_id in loaded:  # everything above it was taken care of since it was first seen
            done[snapshot_id] = loaded[snapshot_id]
            pending.pop()
        else:
            node = loaded[snapshot_id] = load_node(store, snapshot_id, kind)
            kinds = {parent.id: parent.kind for receipt in node.receipts for parent in receipt.parents}
            pending += [(parent, kinds[parent]) for parent in reversed(node.parents) if parent not in loaded]
    return done


def load_node(store: Store, snapshot_id: str, kind: str = "?") -> Node:
    """One snapshot with its receipts. A fault of the snapshot hides none of the receipts, nor the other way round."""
    node = Node(id=_full(snapshot_id), kind=kind)
    try:
        node.snapshot = store.opened(snapshot_id)
        node.kind = node.snapshot.kind
    except StemmaError as error:
        node.fault = error
        if not store.snapshot_path(snapshot_id).exists():
            _note_deletion(store, node)
    paths = store.receipts(snapshot_id)
    if not paths:
        node.fault = node.fault or IntegrityError(
            "RECEIPT_MISSING", "no receipt says how this was made", found=node.id, where=store.root / "receipts"
        )
    for path in paths:
        try:
            node.receipts.append(_receipt(node, read_receipt(path)))
        except StemmaError as error:
            node.fault = node.fault or error
    return node


def _note_deletion(store: Store, node: Node) -> None:
    try:
        if found := find_deletion(store.root, node.id):
            node.deletion, node.kind, node.fault = found, found["kind"], None
    except StemmaError as error:
        node.fault = error


def newest(node: Node) -> Receipt:
    """The latest receipt of a node. Raises the node's fault when it has none."""
    if not node.receipts:
        raise node.fault or IntegrityError("RECEIPT_MISSING", "no receipt says how this was made", found=node.id)
    return max(node.receipts, key=lambda receipt: (receipt.finished, receipt.id))


def was_sealed(node: Node) -> bool:
    """Whether some receipt says that it was made where nothing but what it names could be read."""
    return any(receipt.environment.get(SEALED) for receipt in node.receipts)


def _receipt(node: Node, receipt: Receipt) -> Receipt:
    if receipt.subject != node.id:
        what = "the receipt is about another node"
        raise IntegrityError("RECEIPT_SUBJECT", what, expected=node.id, found=receipt.subject, where=receipt.path)
    if node.snapshot and receipt.stage != node.kind:
        what = "the receipt is about another stage"
        raise IntegrityError("RECEIPT_STAGE", what, expected=node.kind, found=receipt.stage, where=receipt.path)
    return receipt


def _full(snapshot_id: str) -> str:
    return f"sha256:{snapshot_id.removeprefix('sha256:')}"
