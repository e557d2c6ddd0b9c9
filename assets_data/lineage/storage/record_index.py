"""A file that finds a record's rows without reading the table: every row's record id in ascending order, in blocks.

The blocks come first (a record id and its row per entry), then a head: the first id of every block and the SHA-256 of
every block. A question reads the head, 64 bytes per 4,096 rows, and checks it against the digest noted when the file
was made; then it reads and checks the blocks that may hold the record, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import digest_bytes, digest_key64
from assets_data.lineage.identity.merkle import WIDTH
from assets_data.lineage.identity.sorted_sets import found_in
from assets_data.lineage.storage import atomic

BLOCK = 4096  # entries
_ID = f"S{WIDTH}"
_CHUNK = 256  # blocks gathered at a time


def write_index(path: Path, ids: np.ndarray) -> dict[str, Any]:
    """Write the index of a table whose ``record_id`` column is ``ids``, uint8[n, 32]; what :func:`find_rows` must know.

    Costs n log n, and 50 bytes of memory per row while it sorts.
    """
    entry = _entry(len(ids))
    order = _sorted_rows(ids)
    fences, digests = list[bytes](), list[bytes]()
    with atomic.open_for_writing(path) as file:
        for begin in range(0, len(ids), BLOCK * _CHUNK):
            rows = order[begin : begin + BLOCK * _CHUNK]
            entries = np.empty(len(rows), entry)
            entries["id"], entries["row"] = ids[rows].view(_ID).ravel(), rows
            for at in range(0, len(entries), BLOCK):
                block = entries[at : at + BLOCK].tobytes()
                fences.append(block[:WIDTH])
                digests.append(hashlib.sha256(block).digest())
                file.write(block)
        head = b"".join((*fences, *digests))
        file.write(head)
    return {"rows": len(ids), "head": digest_bytes(head)}


def find_rows(path: Path, note: Mapping[str, Any], wanted: np.ndarray) -> np.ndarray:
    """int64[k], ascending: the rows of any of ``wanted`` (as ``merkle.sorted_records`` gives them).

    Raises IntegrityError INDEX_BROKEN when what is read is not what was written, FileNotFoundError without a file.
    """
    rows, keys = note["rows"], wanted.view(_ID).ravel()
    found = [np.empty(0, np.int64)]
    with open(path, "rb") as file:
        fences, digests = _read_head(file, rows, note["head"])
        for number in _blocks(fences, keys):
            block = _read_block(file, rows, number, digests[number].tobytes())
            found.append(block["row"][found_in(np.ascontiguousarray(block["id"]), keys)].astype(np.int64))
    return np.sort(np.concatenate(found))


def _entry(rows: int) -> np.dtype:
    return np.dtype([("id", _ID), ("row", "<u4" if rows < 1 << 32 else "<u8")])


def _sorted_rows(ids: np.ndarray) -> np.ndarray:
    """int64[n]: the rows in ascending order of their ids. Sorts by the first eight bytes, then what they leave open."""
    key = digest_key64(ids)
    order = np.argsort(key)
    for begin in range(0, len(ids), BLOCK * _CHUNK):
        rows = order[begin : begin + BLOCK * _CHUNK + 1]
        ties = np.flatnonzero(key[rows[1:]] == key[rows[:-1]])
        unsettled = ties[(ids[rows[ties]] != ids[rows[ties + 1]]).any(axis=1)]
        tied = np.unique(key[rows[unsettled]])
        lows, highs = (np.searchsorted(key, tied, side, sorter=order).tolist() for side in ("left", "right"))
        for low, high in zip(lows, highs, strict=True):
            order[low:high] = order[low:high][np.argsort(ids[order[low:high]].view(_ID).ravel(), kind="stable")]
    return order


def _read_head(file: IO[bytes], rows: int, digest: str) -> tuple[np.ndarray, np.ndarray]:
    """The first ids of the blocks, S32[b], and their digests, uint8[b, 32]."""
    blocks = -(-rows // BLOCK)
    file.seek(rows * _entry(rows).itemsize)
    head = file.read()
    if len(head) != 2 * WIDTH * blocks or digest_bytes(head) != digest:
        raise _broken(file)
    return np.frombuffer(head, _ID, blocks), np.frombuffer(head, np.uint8, offset=WIDTH * blocks).reshape(-1, WIDTH)


def _blocks(fences: np.ndarray, keys: np.ndarray) -> Iterator[int]:
    """The blocks that may hold one of ``keys``, ascending: from the last that begins below it to the last that begins
    with it.
    """
    first = np.maximum(np.searchsorted(fences, keys, "left") - 1, 0)
    last = np.searchsorted(fences, keys, "right")
    done = 0
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        yield from range(max(begin, done), end)
        done = max(done, end)


def _read_block(file: IO[bytes], rows: int, number: int, digest: bytes) -> np.ndarray:
    entry, begin = _entry(rows), number * BLOCK
    file.seek(begin * entry.itemsize)
    raw = file.read(min(BLOCK, rows - begin) * entry.itemsize)
    if hashlib.sha256(raw).digest() != digest:
        raise _broken(file)
    return np.frombuffer(raw, entry)


def _broken(file: IO[bytes]) -> IntegrityError:
    return IntegrityError("INDEX_BROKEN", "an index of records is not what was written", where=file.name)
