"""Merkle roots and proofs: a set has one root, and a proof shows what is so and nothing else."""

import hashlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assets_data.lineage import IntegrityError, merkle_root
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.queries.proof import check_proof, make_proof

RECORDS = st.binary(min_size=32, max_size=32) | st.integers(0, 40).map(lambda n: hashlib.sha256(bytes([n])).digest())
SETS = st.lists(RECORDS, max_size=40)


@given(SETS, st.randoms())
def test_the_root_depends_on_the_set_and_not_on_order_or_repetition(records, random):
    shuffled = records + records[: len(records) // 2]
    random.shuffle(shuffled)
    assert merkle_root(shuffled) == merkle_root(records)


@given(SETS, SETS)
def test_two_sets_share_a_root_only_if_they_are_one(one, other):
    assert (merkle_root(one) == merkle_root(other)) == (set(one) == set(other))


@given(SETS, RECORDS)
def test_a_proof_says_of_every_record_whether_it_is_there(records, record):
    root, proof = make_proof(sorted_records(records), record)
    assert root.hex() == merkle_root(records)
    assert check_proof(root, len(set(records)), record, proof) == (record in records)


@given(SETS, RECORDS, RECORDS)
def test_a_proof_shows_nothing_about_another_record(records, record, other):
    """Between the same neighbours an absent record shows the absence of others; it never says what is not so."""
    assume(record != other)
    root, proof = make_proof(sorted_records(records), record)
    try:
        shown = check_proof(root, len(set(records)), other, proof)
    except IntegrityError:
        return
    assert shown == (other in records)


@given(SETS, RECORDS, st.data())
def test_a_flipped_bit_in_a_proof_never_turns_what_it_shows(records, record, data):
    root, proof = make_proof(sorted_records(records), record)
    bit = data.draw(st.integers(0, 8 * len(proof) - 1))
    forged = bytearray(proof)
    forged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IntegrityError, match="PROOF_REFUSED"):
        check_proof(root, len(set(records)), record, bytes(forged))


@given(st.lists(RECORDS, min_size=1, max_size=40), RECORDS)
def test_a_proof_is_refused_against_the_root_of_another_set(records, record):
    _, proof = make_proof(sorted_records(records), record)
    smaller = sorted(set(records))[1:]
    root = bytes.fromhex(merkle_root(smaller))
    for count in {len(set(records)), len(smaller)}:
        with pytest.raises(IntegrityError, match="PROOF_REFUSED"):
            check_proof(root, count, record, proof)
