"""Proofs of presence and absence: small, right for every place, and never right for anything else."""

import hashlib
import random
import struct

import numpy as np
import pytest

from assets_data.lineage import IntegrityError
from assets_data.lineage.identity.merkle import fold, hash_leaf, hash_node, merkle_root, sorted_records
from assets_data.lineage.queries.proof import MAX_BYTES, check_document, check_proof, make_proof, prove_record
from tests.assets_data.lineage.mini_chain import make_chain, record_id, texts


def digests(count, salt="r"):
    return [hashlib.sha256(f"{salt}{i}".encode()).digest() for i in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 13, 100])
def test_every_record_is_proved_present_and_others_absent(count):
    records = digests(count)
    root = bytes.fromhex(merkle_root(records))
    for record in records + digests(30, "absent") + [b"\x00" * 32, b"\xff" * 32]:
        found, proof = make_proof(sorted_records(records), record)
        assert found == root and len(proof) <= MAX_BYTES
        assert check_proof(root, count, record, proof) == (record in records)


def test_a_proof_holds_for_its_record_root_and_count_only():
    records = digests(64)
    root, proof = make_proof(sorted_records(records), records[7])
    for wrong in ((root, 64, records[8]), (root, 63, records[7]), (hashlib.sha256(b"").digest(), 64, records[7])):
        with pytest.raises(IntegrityError, match="PROOF_REFUSED"):
            check_proof(wrong[0], wrong[1], wrong[2], proof)


@pytest.mark.parametrize("forgeries", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_forged_proofs_are_refused(forgeries):
    """A forgery is anything that would change the verdict, or shows the same by other bytes."""
    rng, records, absent = random.Random(5), digests(1000), digests(50, "absent")
    root = bytes.fromhex(merkle_root(records))
    honest = {}
    for record in [*rng.sample(records, 50), *absent]:
        honest[record] = make_proof(sorted_records(records), record)[1]
    held, subjects = set(records), list(honest)
    for _ in range(forgeries):
        record = rng.choice(subjects)
        forged = _forge(rng, honest, record)
        if forged == honest[record]:
            continue
        try:
            assert check_proof(root, 1000, record, forged) == (record in held), "the verdict was turned"
            pytest.fail("another proof of the same was accepted")
        except IntegrityError as error:
            assert error.code == "PROOF_REFUSED"


def test_neighbours_that_are_not_adjacent_prove_nothing():
    """Leaving out the record itself: its true neighbours, shown as if they touched."""
    records = [bytes(row) for row in sorted_records(digests(8))]
    root, _ = make_proof(sorted_records(records), records[3])
    left, right = make_proof(sorted_records(records), records[2])[1], make_proof(sorted_records(records), records[4])[1]
    head = struct.pack(">4sBQQ", b"STP1", 2, 8, 3)
    for body in (left[21:] + right[21:], right[21:] + left[21:]):
        with pytest.raises(IntegrityError, match="PROOF_REFUSED"):
            check_proof(root, 8, records[3], head + records[2] + records[4] + body)


def test_a_node_cannot_pose_as_a_record():
    records = [bytes(row) for row in sorted_records(digests(4))]
    root, _ = fold(sorted_records(records))
    left = hash_node(hash_leaf(records[0]), hash_leaf(records[1]))
    right = hash_node(hash_leaf(records[2]), hash_leaf(records[3]))
    proof = struct.pack(">4sBQQ", b"STP1", 0, 2, 0) + right
    with pytest.raises(IntegrityError, match="PROOF_REFUSED"):
        check_proof(root, 2, left, proof)


def test_the_proof_of_a_hundred_million_records_is_small():
    """By its shape: a path through 27 levels; two that part at the top are the longest there is."""
    count = 100_000_000
    levels = (count - 1).bit_length()
    assert 21 + 2 * 32 + 2 * (levels - 1) * 32 <= MAX_BYTES


def test_a_document_stands_by_itself_and_an_edit_anywhere_shows(store):
    chain = make_chain(store)
    present = record_id(texts("a")[1])
    document = prove_record(chain["text/raw_slice/a"], bytes.fromhex(present))
    assert check_document(document) == (chain["text/raw_slice/a"].id, True)
    absent = prove_record(chain["text/raw_slice/b"], bytes.fromhex(present))
    assert check_document(absent) == (chain["text/raw_slice/b"].id, False)
    for member in document:
        with pytest.raises(IntegrityError, match="PROOF_"):
            check_document({**document, member: "AAAA"})
    moved = {**document, "snapshot": absent["snapshot"]}
    with pytest.raises(IntegrityError, match="PROOF_REFUSED"):
        check_document(moved)


def _forge(rng, honest, record):
    proof, kind = bytearray(honest[record]), rng.randrange(6)
    if kind == 0:
        proof[rng.randrange(len(proof))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        return honest[rng.choice(list(honest))]
    elif kind == 2:
        at = 21 + 32 * rng.randrange((len(proof) - 21) // 32)
        del proof[at : at + 32]
    elif kind == 3:
        at = 21 + 32 * rng.randrange((len(proof) - 21) // 32 + 1)
        proof[at:at] = rng.randbytes(32)
    elif kind == 4:
        struct.pack_into(">Q", proof, 13, rng.randrange(1001))
    else:
        proof[4] = rng.randrange(4)
    return bytes(proof)


def test_the_array_given_is_used_up_and_the_root_is_that_of_the_set():
    leaves = sorted_records(digests(9))
    before = leaves.copy()
    assert fold(leaves)[0].hex() == merkle_root(before)
    assert not np.array_equal(leaves, before)
