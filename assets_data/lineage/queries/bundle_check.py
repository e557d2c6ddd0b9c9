"""The check of a bundle, without the store it came from: identities, receipts, their connections, head and signature.

Promises that a bundle which passes names, for every node, an identity whose digest is its id and at least one receipt
about it, that every parent is in the bundle, before its children, and that nothing was added, removed or reordered
since the head was made. Where receipts name files and their parents' receipts (schema 3), those are the bundle's. A
bundle of version 2 also names every file of every node; whether the files at hand are those is for whoever has them.
Whether the head is somebody's is for the signature to say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from assets_data.lineage.errors import IntegrityError, StemmaError
from assets_data.lineage.identity.digests import canonical_json, digest_json
from assets_data.lineage.queries.bundle import BINDS, BUNDLE, PAYLOAD, head_statement, pre_authentication
from assets_data.lineage.receipts.reader import parse_bytes
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.storage.snapshot_json import MANIFEST

Verify = Callable[[bytes, list[dict[str, str]]], bool]

_MEMBERS = {1: {"id", "content", "receipts"}, 2: {"id", "content", "files", "receipts"}}


def check_bundle(document: Any, verify: Verify | None = None) -> dict[str, Any]:
    """``{"root", "kind", "nodes", "receipts", "head", "signed", "version", "binds"}`` of a bundle that holds, and
    ``"files"`` where it names them: ``binds`` says what a signature over it speaks for.

    ``verify(signed bytes, signatures)`` says whether any signature is by a trusted key; without it the signature is
    not looked at. Raises IntegrityError with a BUNDLE_ or RECEIPT_ code for the first thing that does not hold.
    """
    try:
        return _check(document, verify)
    except StemmaError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, binascii.Error) as error:
        raise _refused("BUNDLE_SHAPE", f"a member is missing or of another type: {error}") from error


def _check(document: Mapping[str, Any], verify: Verify | None) -> dict[str, Any]:
    version = next((number for number, name in BUNDLE.items() if name == document["_type"]), None)
    if set(document) != {"_type", "nodes", "envelope"} or version is None:
        raise _refused("BUNDLE_TYPE", "not a lineage bundle of a known version")
    seen: dict[str, _Seen] = {}
    for entry in document["nodes"]:
        _check_node(entry, seen, version)
    root = list(seen)[-1]
    statement = canonical_json(head_statement(root, seen[root].kind, document["nodes"]))
    envelope = document["envelope"]
    if set(envelope) != {"payload", "payloadType", "signatures"} or envelope["payloadType"] != PAYLOAD:
        raise _refused("BUNDLE_ENVELOPE", "not a DSSE envelope of an in-toto statement")
    payload = base64.b64decode(envelope["payload"], validate=True)
    if payload != statement:
        raise _refused("BUNDLE_HEAD", "count or head are not those of these nodes", payload, statement)
    if verify and not verify(pre_authentication(payload), list(envelope["signatures"])):
        raise _refused("BUNDLE_SIGNATURE", "no signature of the trusted key")
    facts = head_statement(root, seen[root].kind, document["nodes"])["predicate"]
    said = {"signed": verify is not None, "version": version, "binds": BINDS[version]}
    return {"root": root, "kind": seen[root].kind, **facts, **said}


class _Seen(NamedTuple):
    """What is known of a node once it was checked: its kind, and its receipts by name."""

    kind: str
    receipts: set[str]


def _check_node(entry: Mapping[str, Any], seen: dict[str, _Seen], version: int) -> None:
    if set(entry) != _MEMBERS[version]:
        raise _refused("BUNDLE_SHAPE", "a node with other members")
    if (found := digest_json(entry["content"])) != entry["id"]:
        raise _refused("BUNDLE_IDENTITY", "a node's content does not give its id", entry["id"], found)
    if entry["id"] in seen:
        raise _refused("BUNDLE_TWICE", "a node is listed twice", found=entry["id"])
    if version > 1:
        _check_files(entry)
    if not entry["receipts"]:
        raise _refused("BUNDLE_RECEIPT", "no receipt says how a node was made", found=entry["id"])
    raw = [base64.b64decode(encoded, validate=True) for encoded in entry["receipts"]]
    receipts = [_check_receipt(data, entry, seen) for data in raw]
    if version > 1:
        _check_named_files(entry, receipts)
    seen[entry["id"]] = _Seen(entry["content"]["kind"], {receipt.id for receipt in receipts})


def _check_files(entry: Mapping[str, Any]) -> None:
    """Every file is a size and a digest, and every part of the identity lies in one of them."""
    for name, (size, digest) in entry["files"].items():
        if type(size) is not int or size < 0 or not re.fullmatch("sha256:[0-9a-f]{64}", digest):
            raise _refused("BUNDLE_FILES", "a file is not a size and a SHA-256", found=name)
    stems = {Path(name).stem for name in entry["files"]}
    if MANIFEST not in entry["files"] or not set(entry["content"]["parts"]) <= stems:
        raise _refused(
            "BUNDLE_FILES", "a part of a node, or its snapshot.json, is in none of its files", found=entry["id"]
        )


def _check_receipt(raw: bytes, entry: Mapping[str, Any], seen: Mapping[str, _Seen]) -> Receipt:
    _, receipt = parse_bytes(raw, Path(f"{hashlib.sha256(raw).hexdigest()}.json"))
    if receipt.subject != entry["id"] or receipt.stage != entry["content"]["kind"]:
        raise _refused("BUNDLE_SUBJECT", "a receipt is about another node", entry["id"], receipt.subject)
    for parent in receipt.parents:
        if parent.id not in seen or seen[parent.id].kind != parent.kind:
            raise _refused("BUNDLE_PARENT", "a parent is not in the bundle, before its child", parent.id, receipt.stage)
        if lost := sorted({*parent.receipts} - seen[parent.id].receipts):
            raise _refused("BUNDLE_RECEIPT", "a receipt of a parent that was read is not in the bundle", lost)
    return receipt


def _check_named_files(entry: Mapping[str, Any], receipts: list[Receipt]) -> None:
    """Receipts that name files name the node's, or are outdated by one that does."""
    files = {name: digest.removeprefix("sha256:") for name, (_, digest) in entry["files"].items()}
    right = [receipt for receipt in receipts if dict(receipt.files) == files]
    outdated = {name for receipt in right for name in receipt.replaces}
    wrong = [a.id for a in receipts if a.files and a not in right and a.id not in outdated]
    if wrong:
        raise _refused("BUNDLE_FILES", "a receipt names other files than its node has", entry["id"], wrong)


def _refused(code: str, what: str, expected: object = None, found: object = None) -> IntegrityError:
    return IntegrityError(code, what, expected=expected, found=found)
