"""A Merkle root over record digests (RFC 6962 hashing: leaves and nodes are prefixed, so one cannot pose as the other).

Records are a *set*: digests are sorted and made unique first, so the root does not depend on order, and a sorted tree
is what lets a later proof show that a record is absent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def sorted_records(records: Iterable[bytes]) -> list[bytes]:
    """Unique 32-byte record digests in ascending order: the leaves of the tree."""
    return sorted(set(records))


def merkle_root(records: Iterable[bytes]) -> str:
    """The root, 64 hex characters, over sorted unique 32-byte record digests. Of no records: SHA-256 of nothing."""
    level = [_leaf(record) for record in sorted_records(records)]
    if not level:
        return hashlib.sha256().hexdigest()
    while len(level) > 1:
        pairs = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0].hex()


def _leaf(record: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + record).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
