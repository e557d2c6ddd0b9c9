"""Withdrawn records: one document per withdrawal, which stays in force for whatever is made later.

A source stage leaves out the records that are withdrawn when it reads, and says in its receipt which it met; a snapshot
that names one is never reused, and no name is moved to it. The document also says which snapshots held or learned from
the records when they were withdrawn (``marked``), and which names were moved to what.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import digest_json, load_json
from assets_data.lineage.identity.merkle import WIDTH, sorted_records
from assets_data.lineage.storage import atomic

FOLDER = "withdrawals"  # below the store's root
WITHDRAWN = "withdrawn"  # the member of a receipt's arguments that lists what a source left out


def write_tombstone(root: Path, document: dict[str, Any]) -> Path:
    """Write one withdrawal; the same records and choice replace their own document."""
    name = digest_json([document["records"], document["learners"]]).removeprefix("sha256:")
    path = root / FOLDER / f"{name}.json"
    atomic.write_json(path, document)
    return path


def read_tombstones(root: Path) -> list[dict[str, Any]]:
    """Every withdrawal. Raises IntegrityError when one cannot be read, or their folder cannot: what was withdrawn is
    then not known.
    """
    folder = os.path.join(root, FOLDER)
    try:
        names = sorted(os.listdir(folder)) if os.path.lexists(folder) else []
        paths = [Path(folder, name) for name in names if name.endswith(".json")]
        return [load_json(path.read_bytes(), path) for path in paths]
    except OSError as error:
        what, action = f"withdrawals cannot be read: {error.strerror}", "make them readable; nothing is made meanwhile"
        raise IntegrityError("WITHDRAWAL_UNREADABLE", what, where=error.filename, action=action) from error


def withdrawn_records(root: Path, further: Iterable[bytes] = ()) -> np.ndarray:
    """uint8[n, 32], ascending: every record that was withdrawn, and ``further`` ones."""
    listed = [bytes.fromhex(record) for document in read_tombstones(root) for record in document["records"]]
    every = [*listed, *further]
    return sorted_records(every) if every else np.empty((0, WIDTH), np.uint8)  # each slice of a chain asks
