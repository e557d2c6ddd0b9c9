"""Every file of some nodes hashed again, on every core: against its list, and a part's values against the identity.

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
from assets_data.lineage.queries.record_lookup import RecordLookup
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.storage.folders import stem
from assets_data.lineage.storage.snapshot import Snapshot

TASK_BYTES = 1 << 22  # read by the checks that one thread is given at a time
SMALL = 1 << 20  # bytes of a file that is held in memory
Progress = Callable[[int], object]


class Job(NamedTuple):
    """A check of a node, how many bytes it reads, and how many of them count as hashed."""

    node: Node
    bytes: int
    counted: int
    check: Callable[[], None]


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
        given = [(task, pool.submit(_check_each, task)) for task in tasks(nodes.values(), lookup)]
        return sum(_collect(task, errors.result(), progress) for task, errors in given)


def _check_each(task: Iterable[Job]) -> list[Exception | None]:
    """What each check raised."""
    return [_raised(job.check) for job in task]


def _raised(check: Callable[[], None]) -> Exception | None:
    try:
        check()
    except Exception as error:  # raised again by _collect, where it counts
        return error
    return None


def _collect(task: Iterable[Job], errors: Iterable[Exception | None], progress: Progress) -> int:
    size = 0
    for job, error in zip(task, errors, strict=True):
        note(job.node, _raise, error)
        size += job.counted
    progress(size)
    return size


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def tasks(nodes: Iterable[Node], lookup: RecordLookup) -> Iterator[list[Job]]:
    """All checks in order, in lists for a thread each: small files together, which cost less to hash than to hand over,
    and large ones alone.
    """
    task, size = list[Job](), 0
    for job in (job for node in nodes for job in _jobs(node, lookup)):
        if task and size + job.bytes > TASK_BYTES:
            yield task
            task, size = [], 0
        task.append(job)
        size += job.bytes
    yield task


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
