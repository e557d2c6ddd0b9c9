"""Which of several receipts about a node tells how it was made: what is done again is done by that one.

What was signed goes first, then what a name points to, then what a stage record names, then the receipt under which the
files were published; among equals the latest. So a receipt that somebody put beside these decides nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

from assets_data.lineage.errors import IntegrityError, StemmaError
from assets_data.lineage.identity.digests import is_object, load_json
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.storage.store import Store


class Told:
    """The choice for the nodes of one store; reads its bundles, names and stage records once.

    What lies in the store's bundles counts as signed: by whom is for ``verify --key`` to say.
    """

    def __init__(self, store: Store) -> None:
        self._orders = (
            frozenset(_signed(store.root)),
            frozenset(_named(store.root / "pointers")),
            frozenset(_named(store.root / "stages")),
        )

    def __call__(self, node: Node) -> Receipt:
        """The receipt of a node that counts. Raises the node's fault when it has none."""
        made = {a.id for a in node.receipts if node.snapshot and node.snapshot.made and a.made == node.snapshot.made}
        for chosen in (*self._orders, made, {receipt.id for receipt in node.receipts}):
            if found := [receipt for receipt in node.receipts if receipt.id in chosen]:
                return max(found, key=lambda receipt: (receipt.finished, receipt.id))
        raise node.fault or IntegrityError("RECEIPT_MISSING", "no receipt says how this was made", found=node.id)


def _signed(root: Path) -> Iterator[str]:
    """Receipts in the bundles that were signed here, by name."""
    for path in sorted((root / "signatures").glob("*.bundle.json")):
        bundle = load_json(path.read_bytes(), path)
        try:
            encoded = [receipt for entry in bundle["nodes"] for receipt in entry["receipts"]]
            yield from [hashlib.sha256(base64.b64decode(receipt, validate=True)).hexdigest() for receipt in encoded]
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError("BUNDLE_SHAPE", f"not a bundle: {error}", where=path) from error


def _named(folder: Path) -> Iterator[str]:
    """Receipts that the documents of a folder name; what cannot be read names none."""
    for path in sorted(folder.rglob("*.json")):
        try:
            entry = load_json(path.read_bytes(), path)
        except (OSError, StemmaError):
            continue
        if is_object(entry) and isinstance(entry.get("receipt"), str):
            yield Path(entry["receipt"]).stem
