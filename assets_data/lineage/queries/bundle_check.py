"""The check of a bundle, without the store it came from: identities, receipts, their connections, head and signature.

Promises that a bundle which passes names, for every node, an identity whose digest is its id and at least one receipt
about it, that every parent is in the bundle, before its children, and that nothing was added, removed or reordered
since the head was made. Whether the head is somebody's is for the signature to say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import IntegrityError, StemmaError
from assets_data.lineage.identity.digests import canonical_json, digest_json
from assets_data.lineage.queries.bundle import BUNDLE, PAYLOAD, head_statement, pre_authentication
from assets_data.lineage.receipts.receipt import parse_bytes

Verify = Callable[[bytes, list[dict[str, str]]], bool]


def check_bundle(document: Any, verify: Verify | None = None) -> dict[str, Any]:
    """``{"root", "kind", "nodes", "receipts", "head", "signed"}`` of a bundle that holds.

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
    if set(document) != {"_type", "nodes", "envelope"} or document["_type"] != BUNDLE:
        raise _refused("BUNDLE_TYPE", "not a lineage bundle of this version")
    seen: dict[str, str] = {}
    for entry in document["nodes"]:
        _check_node(entry, seen)
    root = list(seen)[-1]
    statement = canonical_json(head_statement(root, seen[root], document["nodes"]))
    envelope = document["envelope"]
    if set(envelope) != {"payload", "payloadType", "signatures"} or envelope["payloadType"] != PAYLOAD:
        raise _refused("BUNDLE_ENVELOPE", "not a DSSE envelope of an in-toto statement")
    payload = base64.b64decode(envelope["payload"], validate=True)
    if payload != statement:
        raise _refused("BUNDLE_HEAD", "count or head are not those of these nodes", payload, statement)
    if verify and not verify(pre_authentication(payload), list(envelope["signatures"])):
        raise _refused("BUNDLE_SIGNATURE", "no signature of the trusted key")
    facts = head_statement(root, seen[root], document["nodes"])["predicate"]
    return {"root": root, "kind": seen[root], **facts, "signed": verify is not None}


def _check_node(entry: Mapping[str, Any], seen: dict[str, str]) -> None:
    if set(entry) != {"id", "content", "receipts"}:
        raise _refused("BUNDLE_SHAPE", "a node with other members")
    if (found := digest_json(entry["content"])) != entry["id"]:
        raise _refused("BUNDLE_IDENTITY", "a node's content does not give its id", entry["id"], found)
    if entry["id"] in seen:
        raise _refused("BUNDLE_TWICE", "a node is listed twice", found=entry["id"])
    if not entry["receipts"]:
        raise _refused("BUNDLE_RECEIPT", "no receipt says how a node was made", found=entry["id"])
    for encoded in entry["receipts"]:
        _check_receipt(base64.b64decode(encoded, validate=True), entry, seen)
    seen[entry["id"]] = entry["content"]["kind"]


def _check_receipt(raw: bytes, entry: Mapping[str, Any], seen: Mapping[str, str]) -> None:
    _, account = parse_bytes(raw, Path(f"{hashlib.sha256(raw).hexdigest()}.json"))
    if account.subject != entry["id"] or account.stage != entry["content"]["kind"]:
        raise _refused("BUNDLE_SUBJECT", "a receipt is about another node", entry["id"], account.subject)
    for parent in account.parents:
        if seen.get(parent.id) != parent.kind:
            raise _refused("BUNDLE_PARENT", "a parent is not in the bundle, before its child", parent.id, account.stage)


def _refused(code: str, what: str, expected: object = None, found: object = None) -> IntegrityError:
    return IntegrityError(code, what, expected=expected, found=found)
