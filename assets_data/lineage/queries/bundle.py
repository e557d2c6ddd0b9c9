"""A node's evidence as one in-toto bundle: every receipt of its tree, the snapshot identities they name, and a head.

The head counts the nodes and receipts and is the digest over all of them in order, so that a bundle cut short does not
verify. It is what gets signed: a DSSE envelope around a statement whose subject is the node and whose predicate is the
head.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from assets_data.lineage.identity.digests import canonical_json, digest_json
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.receipts.provenance import STATEMENT

HEAD = "urn:stemma:lineage-head:v1"
BUNDLE = "urn:stemma:lineage-bundle:v1"
PAYLOAD = "application/vnd.in-toto+json"


def make_bundle(nodes: Mapping[str, Node], root: str) -> dict[str, Any]:
    """The bundle of a sound tree (parents first). Raises the first fault of a tree that is not."""
    for node in nodes.values():
        if node.fault:
            raise node.fault
    entries = [
        {"id": node.id, "content": dict(node.snapshot.content) if node.snapshot else None, "receipts": _receipts(node)}
        for node in nodes.values()
    ]
    statement = head_statement(root, nodes[root].kind, entries)
    return {"_type": BUNDLE, "nodes": entries, "envelope": envelope(canonical_json(statement), [])}


def head_statement(root: str, kind: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The statement that is signed: the root, how many nodes and receipts there are, and the digest over them."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": kind, "digest": {"sha256": root.removeprefix("sha256:")}}],
        "predicateType": HEAD,
        "predicate": {
            "nodes": len(entries),
            "receipts": sum(len(entry["receipts"]) for entry in entries),
            "head": digest_json([[entry["id"], entry["receipts"]] for entry in entries]),
        },
    }


def envelope(payload: bytes, signatures: list[dict[str, str]]) -> dict[str, Any]:
    """A DSSE envelope (github.com/secure-systems-lab/dsse)."""
    return {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD, "signatures": signatures}


def pre_authentication(payload: bytes) -> bytes:
    """DSSE's PAE: the bytes that are signed, which bind the payload to its type."""
    kind = PAYLOAD.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _receipts(node: Node) -> list[str]:
    """Each receipt as it is on the disk, in base64: its digest is over those bytes."""
    return [base64.b64encode(account.path.read_bytes()).decode() for account in node.accounts]
