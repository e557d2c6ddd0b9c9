"""What a store remembers of receipts: names, stage records and the receipts of what was made from a node name them.

A receipt that is named and gone is a history cut short; one that nothing names was put there by somebody, or is left
over: it is *extra*. Costs reading every small file of the store once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from assets_data.lineage.errors import IntegrityError, StemmaError
from assets_data.lineage.identity.digests import is_object, load_json
from assets_data.lineage.queries.tree import Node, lost_receipts
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.storage.folders import json_files, names_in
from assets_data.lineage.storage.store import Store

_HEX64 = re.compile(rb"[0-9a-f]{64}")


def check_memory(store: Store, nodes: Mapping[str, Node]) -> None:
    """Note RECEIPT_LOST on every node of which a receipt is remembered and gone, and which receipts are extra."""
    named: dict[str, set[str]] = {key: set() for key in nodes}
    for key, receipt, where in remembered(store, nodes):
        node = nodes[key]
        named[key].add(receipt)
        if node.fault is None and lost_receipts(store, key, [receipt], nodes):
            node.fault = IntegrityError("RECEIPT_LOST", "a receipt on record is gone", expected=receipt, where=where)
    for key, node in nodes.items():
        made = {receipt.id for receipt in node.receipts if node.snapshot and receipt.made == node.snapshot.made != ""}
        outdated = {name for receipt in node.receipts for name in receipt.replaces}
        node.extra = frozenset(receipt.id for receipt in node.receipts) - named[key] - made - outdated


def remembered(store: Store, nodes: Mapping[str, Node]) -> Iterator[tuple[str, str, Path]]:
    """``(node, receipt, the file that names it)`` for these nodes, all over the store."""
    known = {receipt.path: receipt for node in nodes.values() for receipt in node.receipts}
    for path in sorted([*json_files(store.root / "stages"), *(store.root / "pointers").rglob("*.json")]):
        try:
            entry = load_json(path.read_bytes(), path)
        except (OSError, StemmaError):
            continue  # rebuilt by the stage that wrote it; says nothing about a node
        if is_object(entry) and entry.get("snapshot") in nodes and entry.get("receipt"):
            yield entry["snapshot"], Path(entry["receipt"]).stem, path
    names = frozenset(key.removeprefix("sha256:").encode() for key in nodes)
    receipts = store.root / "receipts"
    for path in (path for folder in names_in(receipts) for path in json_files(receipts / folder)):
        if receipt := known.get(path) or _naming(path, names):
            for parent in receipt.parents:
                if parent.id in nodes:
                    yield from ((parent.id, receipt, path) for receipt in parent.receipts)


def _naming(path: Path, names: frozenset[bytes]) -> Receipt | None:
    """A receipt that names one of these nodes; none where it cannot be read, a fault of the node that it is about."""
    try:
        return read_receipt(path) if not names.isdisjoint(_HEX64.findall(path.read_bytes())) else None
    except (OSError, StemmaError):
        return None
