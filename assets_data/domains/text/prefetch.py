"""Working ahead in threads, in order: pays off where the work is done outside the GIL."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_END = object()


def ahead(items: Iterator[T]) -> Iterator[T]:
    """``items`` in order, the next computed while the caller works on this one; one is held beyond the caller's.

    An error in ``items`` is raised here, at the place in the order where it happened.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        pending = thread.submit(next, items, _END)
        while (item := pending.result()) is not _END:
            pending = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]


def mapped_ahead(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """``function`` of every item, in the order of the items; at most ``workers`` results are held beyond the caller's.

    Items are drawn in the caller's thread. An error is raised at its place in the order.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="mapped") as threads:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(threads.submit(function, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
