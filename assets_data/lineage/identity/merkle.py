"""A Merkle tree over record digests (RFC 6962 hashing: leaves and nodes are prefixed, so one cannot pose as the other).

Records are a *set*: digests are sorted and made unique first, so the root does not depend on order, and a sorted tree
is what lets a proof show that a record is absent. A set is a uint8[n, 32] array and the tree is reduced in place, so
100 million records take 3.2 GB and not one Python object each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import numpy as np

from assets_data.lineage.errors import DataError

WIDTH = 32  # bytes of a SHA-256
_BLOCK = 1 << 14  # hashes joined at a time: bounds the Python objects alive
_SORTABLE = np.dtype(f"S{WIDTH}")

Records = np.ndarray | Iterable[bytes | str]


def record_array(records: Records) -> np.ndarray:
    """Record digests as uint8[n, 32]: from such an array or an ``S32`` one (no copy), from an iterable of 32-byte
    digests, or of their 64 hex characters.

    Raises DataError RECORD_DIGEST for anything of another size.
    """
    if isinstance(records, np.ndarray):
        given = cast(np.ndarray, records)
        array = given.view(np.uint8).reshape(-1, WIDTH) if given.dtype == _SORTABLE else given
        if array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != WIDTH:
            raise _wrong_size(f"{given.dtype}{list(given.shape)}")
        return np.ascontiguousarray(array)
    joined = bytearray()
    for count, record in enumerate(records, start=1):
        joined += bytes.fromhex(record) if isinstance(record, str) else record
        if len(joined) != count * WIDTH:
            raise _wrong_size(record)
    return np.frombuffer(joined, np.uint8).reshape(-1, WIDTH)


def sorted_records(records: Records) -> np.ndarray:
    """The leaves of the tree: uint8[n, 32], a copy, unique and in ascending order."""
    ordered = np.sort(record_array(records).view(_SORTABLE).ravel())
    unique = np.ones(len(ordered), bool)
    unique[1:] = ordered[1:] != ordered[:-1]
    return (ordered if unique.all() else ordered[unique]).view(np.uint8).reshape(-1, WIDTH)


def merkle_root(records: Records) -> str:
    """The root, 64 hex characters, over sorted unique 32-byte record digests. Of no records: SHA-256 of nothing."""
    return fold(sorted_records(records))[0].hex()


def fold(leaves: np.ndarray, shown: Iterable[int] = ()) -> tuple[bytes, list[bytes]]:
    """The root over :func:`sorted_records`, and the hashes with which the leaves at ``shown`` lead to it.

    The hashes go level by level, left to right, without those that the shown leaves give themselves: what
    :func:`climb` takes. Uses ``leaves`` as its working memory, level over level: they are gone afterwards.
    """
    hashes: list[bytes] = []
    if not len(leaves):
        return hashlib.sha256().digest(), hashes
    level, places = leaves, sorted(set(shown))
    _hash_leaves(level)
    while len(level) > 1:
        siblings = [place ^ 1 for place in places if place ^ 1 not in places]
        hashes += [level[place].tobytes() for place in siblings if place < len(level)]
        level, places = _hash_pairs(level), sorted({place >> 1 for place in places})
    return level[0].tobytes(), hashes


def climb(count: int, leaves: Mapping[int, bytes], hashes: Sequence[bytes]) -> bytes:
    """The root of a tree of ``count`` leaves, from the leaf hashes at some places and what :func:`fold` gave for them.

    Raises ValueError when the hashes are too few or too many, or a place is not in the tree.
    """
    if not leaves or not all(0 <= place < count for place in leaves):
        raise ValueError("a place outside the tree")
    level, size, rest = dict(leaves), count, iter(hashes)
    while size > 1:
        above: dict[int, bytes] = {}
        for place in sorted(level):
            if place >> 1 not in above:
                above[place >> 1] = _climb_one(level, place, size, rest)
        level, size = above, (size + 1) // 2
    if next(rest, None) is not None:
        raise ValueError("more hashes than the path takes")
    return level[0]


def find_record(leaves: np.ndarray, record: bytes) -> tuple[int, bool]:
    """``(place, present)``: where the record is, or would be inserted, among :func:`sorted_records`."""
    keys = leaves.view(_SORTABLE).ravel()
    place = int(np.searchsorted(keys, np.frombuffer(record, _SORTABLE))[0])
    return place, place < len(leaves) and leaves[place].tobytes() == record


def hash_leaf(record: bytes) -> bytes:
    """SHA-256 of 0x00 and the record (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + record).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01, left and right (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _climb_one(level: Mapping[int, bytes], place: int, size: int, rest: Iterator[bytes]) -> bytes:
    other = place ^ 1
    if other >= size:  # the odd one out is carried up as it is
        return level[place]
    if (sibling := level.get(other) or next(rest, None)) is None:
        raise ValueError("fewer hashes than the path takes")
    return hash_node(sibling, level[place]) if place & 1 else hash_node(level[place], sibling)


def _hash_leaves(level: np.ndarray) -> None:
    _replace(level, level, b"\x00", len(level))


def _hash_pairs(level: np.ndarray) -> np.ndarray:
    """The level above, written over the first half of ``level``: node i is read at 2i, so never after it is lost."""
    pairs, odd = divmod(len(level), 2)
    _replace(level, level[: 2 * pairs], b"\x01", pairs)
    if odd:
        level[pairs] = level[-1]
    return level[: pairs + odd]


def _replace(target: np.ndarray, source: np.ndarray, prefix: bytes, count: int) -> None:
    """target[i] = SHA-256(prefix + the i-th of ``count`` equal pieces of source), block by block."""
    data = source.reshape(-1).data
    width = len(data) // count if count else WIDTH
    for begin in range(0, count, _BLOCK):
        end = min(count, begin + _BLOCK)
        pieces = (data[at : at + width] for at in range(begin * width, end * width, width))
        hashes = b"".join([hashlib.sha256(prefix + piece).digest() for piece in pieces])
        target[begin:end] = np.frombuffer(hashes, np.uint8).reshape(-1, WIDTH)


def _wrong_size(found: object) -> DataError:
    return DataError("RECORD_DIGEST", "a record digest is 32 bytes or 64 hex characters", found=found)
