import hashlib
import random

import numpy as np
import pytest

from assets_data.lineage import DataError, merkle_root
from assets_data.lineage.identity.merkle import find_record, fold, record_array, sorted_records


def digests(count: int, salt: str = "") -> list[bytes]:
    return [hashlib.sha256(f"{salt}{i}".encode()).digest() for i in range(count)]


def reference_root(records: list[bytes]) -> str:
    """RFC 6962, section 2.1, as it is written there."""

    def tree(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return hashlib.sha256(b"\x00" + leaves[0]).digest()
        split = 1 << (len(leaves) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + tree(leaves[:split]) + tree(leaves[split:])).digest()

    unique = sorted(set(records))
    return (tree(unique) if unique else hashlib.sha256().digest()).hex()


@pytest.mark.parametrize("count", [*range(18), 31, 32, 33, 100, 1023])
def test_the_root_is_that_of_the_rfc_for_every_number_of_leaves(count: int) -> None:
    records = digests(count)
    random.Random(count).shuffle(records)
    assert merkle_root(records + records[:3]) == reference_root(records)


def test_blocks_of_hashing_do_not_show_in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    records = digests(257)
    monkeypatch.setattr("assets_data.lineage.identity.merkle._BLOCK", 8)
    assert merkle_root(records) == reference_root(records)


def test_arrays_bytes_and_hex_say_the_same_and_the_array_given_is_left_as_it_was() -> None:
    records = [*digests(20), b"\x00" * 32, b"\xff" + b"\x00" * 31]
    array = np.frombuffer(b"".join(records), np.uint8).reshape(-1, 32).copy()
    before = array.copy()
    roots = {merkle_root(form) for form in (records, [r.hex() for r in records], array, array.view("S32").ravel())}
    assert roots == {reference_root(records)}
    assert np.array_equal(array, before)


@pytest.mark.parametrize("bad", [[b"x" * 31], [b"x" * 33, b"y" * 31], ["ab"], np.zeros((2, 31), np.uint8), np.zeros(3)])
def test_a_digest_of_another_size_is_refused(bad: object) -> None:
    with pytest.raises(DataError, match="RECORD_DIGEST"):
        record_array(bad)  # type: ignore[arg-type]


def test_a_record_is_found_at_its_place_and_an_absent_one_between_its_neighbours() -> None:
    leaves = sorted_records(digests(50))
    assert [find_record(leaves, leaf.tobytes()) for leaf in leaves] == [(i, True) for i in range(50)]
    absent = digests(1, "other")[0]
    place, present = find_record(leaves, absent)
    assert not present
    assert all(leaf.tobytes() < absent for leaf in leaves[:place])
    assert all(leaf.tobytes() > absent for leaf in leaves[place:])


def test_no_memory_per_record_beyond_the_arrays() -> None:
    import tracemalloc

    array = np.random.default_rng(0).integers(0, 256, (200_000, 32), np.uint8)
    tracemalloc.start()
    fold(sorted_records(array))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * array.nbytes  # the sorted copy, a mask, one block of hashes
