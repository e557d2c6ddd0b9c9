"""Every file of some nodes hashed again, against its list, and a part's values against the identity; large files on
every core, small ones on the thread that asks.

Promises that the first fault of a node, in the order of its files, is the one noted.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from assets_data.lineage.errors import IntegrityError, StemmaError
from assets_data.lineage.identity.canonical import encode_plain
from assets_data.lineage.identity.tables import SMALL
from assets_data.lineage.queries.record_lookup import RecordLookup
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.storage.folders import stem
from assets_data.lineage.storage.snapshot import Snapshot

THREADED = 1 << 18  # bytes from which a check is given to another thread
Progress = Callable[[int], object]


class Job(NamedTuple):
    """A check of a node, how many bytes it reads, and how many of them count as hashed."""

    node: Node
    bytes: int
    counted: int
    check: Callable[[], None]


Started = tuple[Job, Callable[[], Exception | None]]


def note(node: Node, check: Callable[..., None], *arguments: object) -> None:
    """Do a check, unless the node has a fault already: one that it raises is the node's."""
    if node.fault is None:
        try:
            check(*arguments)
        except StemmaError as error:
            node.fault = error


def hash_all(nodes: Mapping[str, Node], lookup: RecordLookup, progress: Progress) -> int:
    """Note the first fault of every node; how many bytes of files were hashed, of which ``progress`` is told meanwhile.
    ``lookup`` gets to know the records that tables name.
    """
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        hashed, waiting = 0, list[list[Started]]()  # nodes with a check that another thread may still be at
        for node in nodes.values():
            started = [_start(job, pool) for job in _jobs(node, lookup)]
            if all(job.bytes < THREADED for job, _ in started):
                hashed += _collect(started, progress)
            else:
                waiting.append(started)
        return hashed + sum(_collect(started, progress) for started in waiting)


def _start(job: Job, pool: ThreadPoolExecutor) -> Started:
    """A check and how to get what it raised. One of a large file is given to another thread; a small one is done here:
    it holds Python's lock nearly all the time, and two threads of such took a quarter more processor time than one.
    """
    if job.bytes >= THREADED:
        return job, pool.submit(_raised, job.check).result
    error = _raised(job.check)
    return job, lambda: error


def _raised(check: Callable[[], None]) -> Exception | None:
    try:
        check()
    except Exception as error:  # raised again by _collect, where it counts
        return error
    return None


def _collect(started: Iterable[Started], progress: Progress) -> int:
    """Note what the checks of a node raised, in their order; how many bytes were hashed."""
    size = 0
    for job, raised in started:
        note(job.node, _raise, raised())
        size += job.counted
    progress(size)
    return size


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def _jobs(node: Node, lookup: RecordLookup) -> Iterator[Job]:
    """The checks of a node's file list, of each file and of each part's values; a small file is read once for both."""
    if (snapshot := node.snapshot) is None:
        return
    yield Job(node, 0, 0, snapshot.check_list)
    for name, entry in snapshot.files.items():
        size = entry["bytes"]
        if entry["part"] and size < SMALL:
            yield Job(node, size, size, functools.partial(_check_small, snapshot, name, lookup))
            continue
        yield Job(node, size, size, functools.partial(snapshot.check_file, name))
        if entry["part"]:
            yield Job(node, size, 0, functools.partial(_check_values, snapshot, name, lookup))


def _check_small(snapshot: Snapshot, name: str, lookup: RecordLookup) -> None:
    _check_values(snapshot, name, lookup, snapshot.checked_bytes(name))


def _check_values(snapshot: Snapshot, name: str, lookup: RecordLookup, data: bytes | None = None) -> None:
    expected = snapshot.content["parts"].get(stem(name))
    try:
        found = lookup.digest(snapshot, name, data)
    except StemmaError:
        raise
    except Exception as error:  # a reader met bytes that nobody wrote: whatever it says, the file is not what it was
        raise IntegrityError("SNAPSHOT_UNREADABLE", f"cannot be read: {error}", where=snapshot.path / name) from error
    if encode_plain(found) != encode_plain(expected):  # by spelling: to Python 1 is equal to true
        raise IntegrityError(
            "SNAPSHOT_CONTENT",
            "a part does not say what the identity says",
            expected=expected,
            found=found,
            where=snapshot.path / name,
        )
