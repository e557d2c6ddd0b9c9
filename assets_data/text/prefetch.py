"""Working one item ahead: the next item is computed in a thread while the caller works on this one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Iterator[T]) -> Iterator[T]:
    """``items`` in order; at most one is held beyond the caller's. Pays off where the work is done outside the GIL.

    An error in ``items`` is raised here, at the place in the order where it happened.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        pending = thread.submit(next, items, _END)
        while (item := pending.result()) is not _END:
            pending = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]
