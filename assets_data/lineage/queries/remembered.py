"""Answers worth keeping: large arrays derived from published data, memory-mapped from ``cache/`` under the store root.

A kept array is used only if its bytes have the digest noted when it was made; else it is made again. Deleting the
folder loses nothing but time. Small arrays are never kept: making them is faster than asking the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.lineage.errors import StemmaError
from assets_data.lineage.identity.digests import digest_file, digest_json, load_json
from assets_data.lineage.identity.order import keyed_order
from assets_data.lineage.storage import atomic

KEEP_FROM_ROWS = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """A folder of arrays, named by what they were made from. One check of its digest per array and object."""

    folder: Path
    keep_from: int = KEEP_FROM_ROWS

    def array(self, source: Any, rows: int, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What ``make`` gives for ``source`` (JSON that decides it), read from the disk where it is kept."""
        if rows < self.keep_from:
            return make()
        path = self.folder / f"{digest_json(source).removeprefix('sha256:')}.npy"
        if not _sound(path):
            with atomic.open_for_writing(path) as file:
                np.save(file, make(), allow_pickle=False)
            atomic.write_json(path.with_suffix(".json"), {"source": source, "sha256": digest_file(path)})
        return np.load(path, mmap_mode="r", allow_pickle=False)


@dataclass(slots=True)
class SortedEpochs:
    """:func:`keyed_order` that sorts each epoch of a run once. ``tables`` decides the row keys (JSON)."""

    memory: Memory
    tables: Any

    def __call__(self, seed: int, epoch: int, row_keys: np.ndarray) -> np.ndarray:
        """int64[n] or uint32[n]: the rows of an epoch in training order."""
        narrow = np.uint32 if len(row_keys) < 2**32 else np.int64
        source = {"what": "epoch", "seed": seed, "epoch": epoch, "tables": self.tables}
        return self.memory.array(source, len(row_keys), lambda: keyed_order(seed, epoch, row_keys).astype(narrow))


def _sound(path: Path) -> bool:
    note = path.with_suffix(".json")
    try:
        return load_json(note.read_bytes(), note)["sha256"] == digest_file(path)
    except (OSError, KeyError, TypeError, StemmaError):
        return False
