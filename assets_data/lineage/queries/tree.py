"""The tree below a node: snapshots and the receipts that connect them, read from the store alone.

Promises parents before children, each node once, and that a node which cannot be read, or is its own ancestor, is in
the tree with its fault instead of ending the walk. Hashes nothing but the lists of files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
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
    ``extra`` are receipts that nothing in the store names, once that was looked for (``queries.memory``).
    """

    id: str
    kind: str
    snapshot: Snapshot | None = None
    receipts: list[Receipt] = field(default_factory=list[Receipt])
    fault: StemmaError | None = None
    deletion: Mapping[str, Any] | None = None
    extra: frozenset[str] = frozenset()

    @property
    def parents(self) -> list[str]:
        """Ids of every snapshot that any of the receipts read, each once, in the order read."""
        return list(dict.fromkeys(parent.id for receipt in self.receipts for parent in receipt.parents))


def lost_receipts(store: Store, snapshot_id: str, names: Iterable[str], nodes: Mapping[str, Node]) -> list[str]:
    """Those of a snapshot's receipts that are gone: neither read with its node, nor there and a fault of that node."""
    read = [receipt.id for receipt in nodes[snapshot_id].receipts] if snapshot_id in nodes else []
    unread = [name for name in names if name not in read]
    return [name for name in unread if not store.receipt_path(snapshot_id, name).is_file()]


def load_tree(store: Store, roots: Iterable[str], check: Callable[[Node], None] = lambda node: None) -> dict[str, Node]:
    """Every ancestor of ``roots`` and the roots themselves, parents before children; each is given to ``check`` once it
    was read.
    """
    done: dict[str, Node] = {}
    loaded: dict[str, Node] = {}
    path: set[str] = set()  # what is loaded and not done: all that led to where the walk is
    pending = [(_full(root), "?") for root in reversed(list(roots))]
    while pending:
        snapshot_id, kind = pending[-1]
        if snapshot_id in done:
            pending.pop()
        elif snapshot_id in loaded:  # everything above it was taken care of since it was first seen
            done[snapshot_id] = loaded[snapshot_id]
            path.remove(snapshot_id)
            pending.pop()
        else:
            node = loaded[snapshot_id] = load_node(store, snapshot_id, kind)
            path.add(snapshot_id)
            if found := _circle(node, path):
                what = "a node is its own ancestor"
                node.fault = node.fault or IntegrityError("LINEAGE_CYCLE", what, found=found, where=node.id)
            check(node)
            kinds = {parent.id: parent.kind for receipt in node.receipts for parent in receipt.parents}
            pending += [(parent, kinds[parent]) for parent in reversed(node.parents) if parent not in loaded]
    return done


def load_node(store: Store, snapshot_id: str, kind: str = "?") -> Node:
    """One snapshot with its receipts. A fault of the snapshot hides none of the receipts, nor the other way round."""
    node, paths = Node(id=_full(snapshot_id), kind=kind), store.receipts(snapshot_id)
    try:
        node.snapshot = store.opened(snapshot_id, paths)
        node.kind = node.snapshot.kind
    except StemmaError as error:
        node.fault = error
        if not store.snapshot_path(snapshot_id).exists():
            _note_deletion(store, node)
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


def _circle(node: Node, path: Collection[str]) -> str:
    """The node of ``path``, which leads down to this one, on which this one says that it stands; empty for none.

    Training that changed nothing has its own parent's id: its receipt names an earlier one of that node, or the node
    has another receipt that tells where it came from. Such a circle is one of content, not of making.
    """
    closing = [[p for p in receipt.parents if p.id in path and not p.receipts] for receipt in node.receipts]
    named = [parents for parents in closing if parents]
    return named[0][0].id if named and (len(named) == len(closing) or _since_three(node, closing)) else ""


def _since_three(node: Node, closing: Iterable[object]) -> bool:
    """Whether a receipt that could have named the earlier receipts does not."""
    return any(found and receipt.schema > 2 for receipt, found in zip(node.receipts, closing, strict=True))


def published_by(node: Node) -> Receipt:
    """The receipt under which a node's files were published, which therefore agrees with what lies beside its weights;
    of a node that does not say so, the latest. Raises the node's fault when it has none.
    """
    made = [a for a in node.receipts if node.snapshot and node.snapshot.made and a.made == node.snapshot.made]
    return made[0] if made else newest(node)


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
