"""What a look at a store has verified: a snapshot is verified when it is first met, and then only opened again.

A look lasts for one question, or within :func:`one_look` for one command, such as a run over many slices. What a stage
reads is verified once more before it works, whatever a look knows of it. :func:`rarely_collected` is for looks at much.
Sources are listed once in a look, too (``assets_data.sources.listing``).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
from collections.abc import Callable, Generator, Hashable
from pathlib import Path
from typing import Any

from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.snapshot_json import MANIFEST
from assets_data.lineage.storage.verified import settled_keys

SEEN = 64
"""Snapshots that a look has at hand: those of a slice and those that every slice reads; some kilobytes each."""
_kept: list[dict[Hashable, Any]] = []


@contextlib.contextmanager
def one_look() -> Generator[None, None, None]:
    """Within the block all looks, of all threads, share what they verified; an inner block shares what the outer one
    knows.

    What is there as the outer one begins is not looked through for garbage until it ends.
    """
    if not _kept:
        gc.freeze()
    _kept.append(_kept[-1] if _kept else {})
    try:
        yield
    finally:
        _kept.pop()
        if not _kept:
            gc.unfreeze()


def shared() -> dict[Hashable, Any] | None:
    """What the looks of this command know; None outside :func:`one_look`."""
    return _kept[-1] if _kept else None


@contextlib.contextmanager
def rarely_collected() -> Generator[None, None, None]:
    """Within the block Python seeks circles of garbage a hundred times less often. What is read of 10,000 slices is
    millions of objects that stay until the answer is given, and looking through them again and again cost a quarter.
    Within :func:`one_look` what was read is not looked through afterwards either; the garbage of before goes first.
    The setting is the process's: for what it does alone, and not around a training.
    """
    first, *others = gc.get_threshold()
    if _kept:
        gc.collect()
    gc.set_threshold(100 * first, *others)
    try:
        yield
    finally:
        gc.set_threshold(first, *others)
        if _kept:
            gc.freeze()


def verified_once(place: Callable[[str], Path], verify: Callable[[str], Snapshot]) -> Callable[[str], Snapshot]:
    """``verify``, which gives a snapshot by its id, for one look: what it verified is only opened again, while its list
    is the same file. ``place`` is where a snapshot lies.
    """
    known: dict[Hashable, Any] = _kept[-1] if _kept else {}

    @functools.lru_cache(maxsize=SEEN)
    def snapshot(snapshot_id: str) -> Snapshot:
        path = place(snapshot_id)
        seen = settled_keys(os.path.join(path, MANIFEST))
        if seen and known.get(path) == seen:
            return Snapshot.open(path, seen)
        found = verify(snapshot_id)
        known[path] = seen
        return found

    return snapshot
