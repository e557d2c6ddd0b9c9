"""Which rows of a snapshot's tables come from which records, from an index kept beside the store.

An index is made as a snapshot is published, or at the first question, and lies under ``cache/records``: removing it
loses nothing but time. It is used only while its note names the very bytes that the snapshot lists for the table and
what is read of it has the digest noted; else it is made again from the table. Small tables are read as they are.
``verify`` and ``explain`` know nothing of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.lineage.errors import IntegrityError, StorageError
from assets_data.lineage.identity.digests import is_object, load_json
from assets_data.lineage.identity.merkle import WIDTH, sorted_records
from assets_data.lineage.identity.record_ids import among, iter_records, record_columns
from assets_data.lineage.identity.tables import take_values
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.record_index import find_rows, write_index
from assets_data.lineage.storage.snapshot import Snapshot

INDEX_FROM_ROWS = 1 << 12
"""Reading fewer record ids than this takes a millisecond or two, which is what finding an index takes."""
SPLIT = "split"


def record_rows(snapshot: Snapshot, records: Collection[bytes]) -> dict[str, np.ndarray]:
    """Table name -> int64[k], ascending: the rows of these records. Tables that hold none are left out."""
    wanted = sorted_records(records)
    found = {name: _table_rows(snapshot, name, wanted) for name in _tables(snapshot)}
    return {name: rows for name, rows in found.items() if len(rows)}


def records_held(snapshot: Snapshot, records: Collection[bytes]) -> dict[str, int]:
    """Table name -> how many of its rows come from these records. Tables that hold none are left out."""
    return {name: len(rows) for name, rows in record_rows(snapshot, records).items()}


def holds_any(snapshot: Snapshot, records: np.ndarray) -> bool:
    """Whether any table of a snapshot names one of ``records`` (uint8[n, 32], ascending)."""
    return len(records) > 0 and any(len(_table_rows(snapshot, name, records)) for name in _tables(snapshot))


def record_splits(snapshot: Snapshot, records: Collection[bytes]) -> set[str]:
    """The splits these records were put in: by a column ``split``, or where a table is one of the snapshot's splits by
    its name.
    """
    found: set[str] = set()
    for name, rows in record_rows(snapshot, records).items():
        if Path(name).stem in snapshot.content["splits"]:
            found.add(Path(name).stem)
        if SPLIT in _columns(snapshot, name):
            found |= set(take_values(snapshot.file(name), SPLIT, rows))
    return found


def keep_index(snapshot: Snapshot) -> None:
    """Make the index of every large table of a snapshot that lies in a store. A disk that is full only costs time."""
    with contextlib.suppress(StorageError):
        for name in _tables(snapshot):
            if _is_kept(snapshot, name) and _note(snapshot, name) is None:
                _write(snapshot, name)


def _tables(snapshot: Snapshot) -> list[str]:
    """Names of the parts that name records, by what the identity says of them."""
    return [name for name in sorted(snapshot.files) if record_columns(_columns(snapshot, name))]


def _columns(snapshot: Snapshot, name: str) -> Collection[str]:
    return _said(snapshot, name)["columns"]


def _is_kept(snapshot: Snapshot, name: str) -> bool:
    return _said(snapshot, name)["rows"] >= INDEX_FROM_ROWS and snapshot.path.parent.name == "snapshots"


def _said(snapshot: Snapshot, name: str) -> Mapping[str, Any]:
    """``{"rows", "columns"}`` that the identity has for a file; no columns where it is no table."""
    part = snapshot.content["parts"].get(Path(name).stem) if snapshot.files[name]["part"] else None
    if not is_object(part) or Path(name).suffix not in (".arrow", ".parquet"):
        return {"rows": 0, "columns": ()}
    if not is_object(part.get("columns")) or type(part.get("rows")) is not int:
        raise IntegrityError("SNAPSHOT_SHAPE", "the identity says nothing of a table", where=snapshot.path / name)
    return part


def _table_rows(snapshot: Snapshot, name: str, wanted: np.ndarray) -> np.ndarray:
    """Rows, each once, whichever of a table's record id columns names one of the records."""
    places = _places(snapshot, name, wanted)  # of all columns' ids, one column after the other
    rows = _said(snapshot, name)["rows"]
    return np.unique(places % rows) if rows else places


def _places(snapshot: Snapshot, name: str, wanted: np.ndarray) -> np.ndarray:
    if not _is_kept(snapshot, name):
        return _read_rows(snapshot.file(name), wanted)
    if note := _note(snapshot, name):
        with contextlib.suppress(IntegrityError, FileNotFoundError):
            return find_rows(_place(snapshot, name), note, wanted)
    try:
        return find_rows(_place(snapshot, name), _write(snapshot, name), wanted)
    except StorageError:  # nothing can be kept on this disk
        return _read_rows(snapshot.file(name), wanted)


def _read_rows(path: Path, wanted: np.ndarray) -> np.ndarray:
    """The same, from the table itself."""
    found, begin = [np.empty(0, np.int64)], 0
    for batch in iter_records(path):
        found.append(np.flatnonzero(among(batch, wanted)) + begin)
        begin += len(batch)
    return np.concatenate(found)


def _place(snapshot: Snapshot, name: str) -> Path:
    return snapshot.path.parents[1] / "cache" / "records" / snapshot.path.name / f"{Path(name).stem}.ids"


def _note(snapshot: Snapshot, name: str) -> dict[str, Any] | None:
    """What was noted when the table's index was made, if it was made from these bytes."""
    path = _place(snapshot, name).with_suffix(".json")
    try:
        note = load_json(path.read_bytes(), path)
    except (OSError, IntegrityError):
        return None
    if not is_object(note) or note.keys() != {"table", "rows", "head"}:
        return None
    return note if note["table"] == snapshot.files[name]["sha256"] and type(note["rows"]) is int else None


def _write(snapshot: Snapshot, name: str) -> dict[str, Any]:
    """Make a table's index from the table, whose bytes are checked first."""
    snapshot.check_file(name, again=False)
    place = _place(snapshot, name)
    note = {"table": snapshot.files[name]["sha256"], **write_index(place, _all_ids(snapshot, name))}
    atomic.write_json(place.with_suffix(".json"), note)
    return note


def _all_ids(snapshot: Snapshot, name: str) -> np.ndarray:
    """uint8[n, 32], one array from the start: joining batches would need the memory twice."""
    rows, at = _said(snapshot, name)["rows"] * len(record_columns(_columns(snapshot, name))), 0
    ids = np.empty((rows, WIDTH), np.uint8)
    for batch in iter_records(snapshot.file(name)):
        ids[at : at + len(batch)] = batch[: rows - at]
        at += len(batch)
    if at != rows:
        what = "a table has another number of rows than the identity says"
        raise IntegrityError("SNAPSHOT_CONTENT", what, expected=rows, found=at, where=snapshot.path / name)
    return ids
