"""One listing of a source per command: what a command sees of a folder is what was there when it first looked.

Without it every slice lists the whole source again, and the work grows with the square of the slices.

    with one_listing():
        for name in source.slices(): ...  # each slice's parts are found in the same listing
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
_kept: list[dict[object, Any]] = []


@contextlib.contextmanager
def one_listing() -> Iterator[None]:
    """Within the block every source is listed once, by all threads; an inner block shares what the outer one knows."""
    _kept.append(_kept[-1] if _kept else {})
    try:
        yield
    finally:
        _kept.pop()


def listed(source: object, look: Callable[[], T]) -> T:
    """``look()``, or within :func:`one_listing` what it gave for this source before. ``source`` is hashable."""
    if not _kept:
        return look()
    known = _kept[-1]
    if source not in known:
        known[source] = look()
    return known[source]
