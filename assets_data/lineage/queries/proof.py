"""Proofs that a record is, or is not, among the records of a snapshot: at most 2 KB, checked without the snapshot.

A proof is bytes: ``STP1``, how many neighbours (1 byte), the number of records and the place (8 bytes each, big
endian), the neighbours of an absent record (32 bytes each), then the hashes that lead to the record root. An absent
record is shown by the two leaves between which it would stand. Whether it is present is what the check finds out.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

import numpy as np

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import digest_json, is_object
from assets_data.lineage.identity.merkle import WIDTH, climb, find_record, fold, hash_leaf, sorted_records
from assets_data.lineage.storage.records import all_records
from assets_data.lineage.storage.snapshot import Snapshot

TYPE = "urn:stemma:record-proof:v1"
_MAGIC = b"STP1"
_HEAD = struct.Struct(">4sBQQ")  # magic, number of leaves shown, records in the tree, place
MAX_BYTES = 2048


def prove_record(snapshot: Snapshot, record: bytes) -> dict[str, Any]:
    """The proof document of one record: the snapshot's content (its id is its digest), the record and the proof.

    Costs reading and hashing all of the snapshot's record ids. Raises DataError RECORDS_NONE and IntegrityError
    RECORDS_ROOT when the tables do not give the root in the identity.
    """
    leaves = sorted_records(all_records(snapshot))
    root, proof = make_proof(leaves, record)
    expected = snapshot.content["records"]
    found = {"count": _HEAD.unpack_from(proof)[2], "root": root.hex()}
    if expected != found:
        what = "the record tables do not give the record root of the identity"
        raise IntegrityError("RECORDS_ROOT", what, expected=expected, found=found, where=snapshot.path)
    encoded = base64.b64encode(proof).decode()
    return {"_type": TYPE, "snapshot": dict(snapshot.content), "record": record.hex(), "proof": encoded}


def make_proof(leaves: np.ndarray, record: bytes) -> tuple[bytes, bytes]:
    """``(root, proof)`` for a record over :func:`sorted_records`, which are used up."""
    count = len(leaves)
    place, present = find_record(leaves, record)
    shown = [place] if present else [p for p in (place - 1, place) if 0 <= p < count]
    neighbours = b"" if present else b"".join(leaves[p].tobytes() for p in shown)
    root, hashes = fold(leaves, shown)
    head = _HEAD.pack(_MAGIC, 0 if present else len(shown), count, place)
    return root, head + neighbours + b"".join(hashes)


def check_proof(root: bytes, count: int, record: bytes, proof: bytes) -> bool:
    """True when the record is shown to be present, False when absent. Raises IntegrityError PROOF_REFUSED otherwise."""
    try:
        return _check(root, count, record, proof)
    except (ValueError, struct.error) as error:
        raise IntegrityError("PROOF_REFUSED", f"the proof shows nothing: {error}", found=record.hex()) from error


def check_document(document: Any) -> tuple[str, bool]:
    """``(snapshot id, present)`` of a proof document. Raises IntegrityError PROOF_REFUSED or PROOF_SHAPE."""
    try:
        if not is_object(document) or document["_type"] != TYPE or len(document) != 4:
            raise ValueError("another type of document")
        content = document["snapshot"]
        count, root = content["records"]["count"], bytes.fromhex(content["records"]["root"])
        record, proof = bytes.fromhex(document["record"]), base64.b64decode(document["proof"], validate=True)
        if type(count) is not int or len(record) != WIDTH:
            raise ValueError("a count or a record of another type")
        snapshot_id = digest_json(content)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError("PROOF_SHAPE", f"not a proof document: {type(error).__name__} {error}") from error
    return snapshot_id, check_proof(root, count, record, proof)


def _check(root: bytes, count: int, record: bytes, proof: bytes) -> bool:
    magic, neighbours, claimed, place = _HEAD.unpack_from(proof)
    if magic != _MAGIC or claimed != count or neighbours > 2 or len(proof) > MAX_BYTES:
        raise ValueError("another format, or another number of records")
    body = [proof[at : at + WIDTH] for at in range(_HEAD.size, len(proof), WIDTH)]
    if any(len(piece) != WIDTH for piece in body):
        raise ValueError("a hash was cut")
    if not neighbours:
        return _reach(root, count, record, proof, place, body)
    shown = [p for p in (place - 1, place) if 0 <= p < count]
    beside = dict(zip(shown, body[:neighbours], strict=True))
    if (place - 1 in beside and beside[place - 1] >= record) or (place in beside and beside[place] <= record):
        raise ValueError("the record does not stand between its neighbours")
    _require(climb(count, {p: hash_leaf(leaf) for p, leaf in beside.items()}, body[neighbours:]) == root)
    return False


def _reach(root: bytes, count: int, record: bytes, proof: bytes, place: int, body: list[bytes]) -> bool:
    if not count:  # a tree without leaves holds no record: its root says so
        _require(len(proof) == _HEAD.size and place == 0 and root == fold(sorted_records([]))[0])
        return False
    _require(climb(count, {place: hash_leaf(record)}, body) == root)
    return True


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("it leads to another root")
