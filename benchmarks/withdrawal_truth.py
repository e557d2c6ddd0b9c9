"""What a withdrawal must touch, found without the lineage queries: every table read whole, every receipt as JSON."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.lineage import Snapshot, Store


def touched(store: Store, record: str, unchanged: Collection[str] = ()) -> set[str]:
    """The ids of every snapshot that names the record (64 hex characters), and of all that was made from those; but not
    of what is ``unchanged`` without it, nor of what reads only that.
    """
    children: dict[str, set[str]] = {}
    for receipt in (store.root / "receipts").glob("*/*.json"):
        for parent in _parents(receipt):
            children.setdefault(parent, set()).add(receipt.parent.name)
    pending = [path.name for path in map(store.snapshot_path, store.snapshot_ids()) if record in records_named(path)]
    found: set[str] = set()
    while pending:
        if (key := pending.pop()) not in found and f"sha256:{key}" not in unchanged:
            found.add(key)
            pending += children.get(key, ())
    return {f"sha256:{key}" for key in found}


def different(before: Mapping[str, Snapshot], without: Mapping[str, Snapshot]) -> set[str]:
    """The names whose snapshot, or whose parents' snapshots, are others in the chain without the record."""
    return {
        name
        for name in before
        if before[name].id != without[name].id or _inputs(before[name]) != _inputs(without[name])
    }


@functools.cache
def records_named(snapshot: Path) -> frozenset[str]:
    """Every record id in any ``record_id`` column of a snapshot's tables, as 64 hex characters."""
    return frozenset(record for path in sorted(snapshot.iterdir()) for record in _column(path))


def _column(path: Path) -> Iterator[str]:
    if path.suffix == ".parquet":
        table = pq.read_table(path)
    elif path.suffix == ".arrow":
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
    else:
        return
    if "record_id" in table.column_names:
        for value in table["record_id"].unique().to_pylist():
            yield value.hex() if isinstance(value, bytes) else value


def _inputs(snapshot: Snapshot) -> list[str]:
    return sorted(_parents(snapshot.receipt)) if snapshot.receipt else []


def _parents(receipt: Path) -> list[str]:
    """The digests of the snapshots that a receipt names as read: its dependencies called ``input=kind``."""
    entries = json.loads(receipt.read_bytes())["predicate"]["buildDefinition"]["resolvedDependencies"]
    kinds = ("text/", "walk_lm/", "hrm_lm/")
    return [e["digest"]["sha256"] for e in entries if e["name"].partition("=")[2].startswith(kinds)]
