"""A node's evidence as one in-toto bundle: the identities, files and receipts of its whole tree, and a head.

Each node brings the content that gives its id, the size and SHA-256 of every file in its directory (``snapshot.json``
among them) and its receipts as they are on the disk. The head counts all of them and is the digest over all of them in
order, so that a bundle cut short does not verify. It is what gets signed: a DSSE envelope around a statement whose
subject is the node and whose predicate is the head. Bundles of version 1 name no files; they still check.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from assets_data.lineage.identity.digests import canonical_json, digest_file, digest_json
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.receipts.receipt import STATEMENT
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.snapshot_json import MANIFEST

HEAD = {1: "urn:stemma:lineage-head:v1", 2: "urn:stemma:lineage-head:v2"}
BUNDLE = {1: "urn:stemma:lineage-bundle:v1", 2: "urn:stemma:lineage-bundle:v2"}
BINDS = {1: "identities and receipts; no file", 2: "identities, receipts and every file of every node"}
PAYLOAD = "application/vnd.in-toto+json"


def make_bundle(nodes: Mapping[str, Node], root: str) -> dict[str, Any]:
    """The bundle of a sound tree (parents first), with the files as listed: hash them first (``queries.explain``).

    Raises the first fault of a tree that is not sound.
    """
    for node in nodes.values():
        if node.fault:
            raise node.fault
    entries = [_entry(node) for node in nodes.values()]
    statement = head_statement(root, nodes[root].kind, entries)
    return {"_type": BUNDLE[2], "nodes": entries, "envelope": envelope(canonical_json(statement), [])}


def head_statement(root: str, kind: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The statement that is signed: the root, how many nodes, receipts and files there are, and the digest over them.

    Of version 1 where no node names files.
    """
    version = 2 if any("files" in entry for entry in entries) else 1
    members = ("id", "receipts", "files")[: version + 1]
    files = {"files": sum(len(entry["files"]) for entry in entries)} if version > 1 else {}
    return {
        "_type": STATEMENT,
        "subject": [{"name": kind, "digest": {"sha256": root.removeprefix("sha256:")}}],
        "predicateType": HEAD[version],
        "predicate": {
            "nodes": len(entries),
            "receipts": sum(len(entry["receipts"]) for entry in entries),
            **files,
            "head": digest_json([[entry[name] for name in members] for entry in entries]),
        },
    }


def envelope(payload: bytes, signatures: list[dict[str, str]]) -> dict[str, Any]:
    """A DSSE envelope (github.com/secure-systems-lab/dsse)."""
    return {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD, "signatures": signatures}


def pre_authentication(payload: bytes) -> bytes:
    """DSSE's PAE: the bytes that are signed, which bind the payload to its type."""
    kind = PAYLOAD.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _entry(node: Node) -> dict[str, Any]:
    """Of a snapshot that was deleted: what its deletion receipt keeps."""
    kept = node.deletion or {}
    content, files = (
        (node.snapshot.content, _files(node.snapshot)) if node.snapshot else (kept["content"], kept["files"])
    )
    return {"id": node.id, "content": dict(content), "files": files, "receipts": _receipts(node)}


def _files(snapshot: Snapshot) -> dict[str, list[Any]]:
    """Name -> [bytes, digest] of every file in a snapshot's directory."""
    manifest = snapshot.path / MANIFEST
    listed = {name: [entry["bytes"], entry["sha256"]] for name, entry in snapshot.files.items()}
    return {**listed, MANIFEST: [manifest.stat().st_size, digest_file(manifest)]}


def _receipts(node: Node) -> list[str]:
    """Each receipt as it is on the disk, in base64: its digest is over those bytes."""
    return [base64.b64encode(receipt.path.read_bytes()).decode() for receipt in node.receipts]
