"""What a store remembers of receipts: names, stage records and the receipts of what was made from a node name them.

A receipt that is named and gone is a history cut short; one that nothing names was put there by somebody, or is left
over: it is *extra*. Costs reading every small file of the store once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from assets_data.lineage.errors import IntegrityError, StemmaError
from assets_data.lineage.identity.digests import is_object, load_json
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.storage.store import Store

_HEX64 = re.compile(rb"[0-9a-f]{64}")


def check_memory(store: Store, nodes: Mapping[str, Node]) -> None:
    """Note RECEIPT_LOST on every node of which a receipt is remembered and gone, and which receipts are extra."""
    named: dict[str, set[str]] = {key: set() for key in nodes}
    for key, receipt, where in remembered(store, nodes):
        node = nodes[key]
        named[key].add(receipt)
        held = (store.root / "receipts" / key.removeprefix("sha256:") / f"{receipt}.json").is_file()
        if not held and node.fault is None:
            node.fault = IntegrityError("RECEIPT_LOST", "a receipt on record is gone", expected=receipt, where=where)
    for key, node in nodes.items():
        made = {receipt.id for receipt in node.receipts if node.snapshot and receipt.made == node.snapshot.made != ""}
        outdated = {name for receipt in node.receipts for name in receipt.replaces}
        node.extra = frozenset(receipt.id for receipt in node.receipts) - named[key] - made - outdated


def remembered(store: Store, nodes: Collection[str]) -> Iterator[tuple[str, str, Path]]:
    """``(node, receipt, the file that names it)`` for these nodes, all over the store."""
    for path in sorted([*(store.root / "stages").glob("*.json"), *(store.root / "pointers").rglob("*.json")]):
        try:
            entry = load_json(path.read_bytes(), path)
        except (OSError, StemmaError):
            continue  # rebuilt by the stage that wrote it; says nothing about a node
        if is_object(entry) and entry.get("snapshot") in nodes and entry.get("receipt"):
            yield entry["snapshot"], Path(entry["receipt"]).stem, path
    names = {key.removeprefix("sha256:").encode() for key in nodes}
    for path in sorted((store.root / "receipts").glob("*/*.json")):
        try:
            raw = path.read_bytes()
        except OSError:
            continue  # a fault of the node that it is about
        if any(found in names for found in _HEX64.findall(raw)):
            yield from _read_by(path, nodes)


def _read_by(path: Path, nodes: Collection[str]) -> Iterator[tuple[str, str, Path]]:
    try:
        receipt = read_receipt(path)
    except StemmaError:
        return  # a fault of the node that it is about
    for parent in receipt.parents:
        if parent.id in nodes:
            yield from ((parent.id, receipt, path) for receipt in parent.receipts)
