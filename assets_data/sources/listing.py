"""One listing of a source per command: what a command sees of a folder is what was there when it first looked.

Without it every slice lists the whole source again, and the work grows with the square of the slices.

    with one_look():
        for name in source.slices(): ...  # each slice's parts are found in the same listing
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from assets_data.lineage.storage.look import shared

T = TypeVar("T")


def listed(source: Hashable, look: Callable[[], T]) -> T:
    """``look()``, or within :func:`assets_data.lineage.storage.look.one_look` what it gave for this source before."""
    if (known := shared()) is None:
        return look()
    key = listed, source
    if key not in known:
        known[key] = look()
    return known[key]
