"""The drops stage: of what all slices were compared for, the one list that a slice needs, as a snapshot of its own.

A slice's triples are made from its own list, and the list is made again when it is another one: a slice that arrives
later and takes no text from here costs nothing here. Its receipt goes on naming the duplicates that it was made from.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.identity.record_ids import table_records

DROP_REASONS = ("duplicate_across", "near_duplicate")
DROPS_SCHEMA = pa.schema(
    [(name, pa.large_string()) for name in ("slice", "record_id", "reason", "kept_slice", "kept_record_id")]
)
LIST_SCHEMA = pa.schema([(name, pa.large_string()) for name in ("record_id", "reason")])


def make_drops(store: Store, slice_name: str, documents: Snapshot, duplicates: Snapshot) -> Snapshot:
    """Publish (or reuse) ``drops.parquet``: the records of this slice that are left out, by id, each with its reason.

    Raises DataError DROPS_SLICE when duplicates were not sought in these documents under this name.
    """
    return store.run_stage(
        name="text/drops",
        module=__name__,
        config={},
        arguments={"slice": slice_name},
        parents={"documents": documents, "duplicates": duplicates},
        parts={"duplicates": list_digest(duplicates, slice_name)},
        build=lambda writer: _build(writer, slice_name, documents, duplicates),
    )


def read_drops(drops: Snapshot | None) -> pl.DataFrame:
    """The list as columns record_id and reason; without a snapshot it is empty."""
    if drops is None:
        return pl.DataFrame(schema={"record_id": pl.String, "reason": pl.String})
    return pl.read_parquet(drops.file("drops.parquet"))


def list_digest(duplicates: Snapshot, slice_name: str) -> str:
    """The digest of the slice's list; the id of all duplicates, where they were not sought in it."""
    return _sought(duplicates.path, duplicates.id).get(slice_name, {}).get("list", duplicates.id)


def list_changes(duplicates: Snapshot, drops: Snapshot, records: Collection[bytes]) -> bool:
    """Whether this slice's list is another one once ``records`` are gone.

    It is where one of them is on it, and where a text comes back to this slice: its owner goes, and of the slices that
    had lost it this is the first. Of near-duplicates, whose successors may be near others in turn, every slice is said
    to change that was compared. Where the owner's own slice has the text in another spelling too, it stays there, and
    this says too much: never too little.
    """
    own, gone = drops.read_json("slice.json")["slice"], sorted(record.hex() for record in records)
    lost = _lost(duplicates.path, duplicates.id, tuple(gone))
    if any(row["reason"] == DROP_REASONS[1] for row in lost):
        return True
    heirs: dict[tuple[str, str], str] = {}
    for row in lost:  # in the order of the slices: the first has the text now, and the others lose it to that one
        if row["record_id"] in gone:
            if row["slice"] == own:
                return True
        else:
            heirs.setdefault((row["kept_slice"], row["kept_record_id"]), row["slice"])
    return own in heirs.values()


@functools.lru_cache(maxsize=2)
def _lists(path: Path, _id: str) -> dict[str, pl.DataFrame]:
    """Every slice's own list, for those that leave anything out: read once per process, whatever the number of slices.

    The id keeps the lists of a snapshot that was made again at the same place apart.
    """
    listed = pl.read_parquet(path / "drops.parquet").select("slice", "record_id", "reason").sort("slice", "record_id")
    return {name: own.drop("slice") for (name,), own in listed.partition_by("slice", as_dict=True).items()}


@functools.lru_cache(maxsize=2)
def _sought(path: Path, _id: str) -> dict[str, dict[str, Any]]:
    """Slice -> the documents in which its duplicates were sought, and a digest of its list; likewise read once."""
    return load_json((path / "slices.json").read_bytes(), path / "slices.json")


@functools.lru_cache(maxsize=2)
def _lost(path: Path, _id: str, gone: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows, over all slices, that name one of these records; likewise read once."""
    return pq.read_table(path / "drops.parquet", filters=_concerns(gone)).to_pylist()


def _concerns(gone: Collection[str]) -> pc.Expression:
    records = pa.array(list(gone), pa.large_string())  # typed: of no records it would have none
    return pc.field("kept_record_id").isin(records) | pc.field("record_id").isin(records)


def _build(writer: SnapshotWriter, slice_name: str, documents: Snapshot, duplicates: Snapshot) -> None:
    sought = _sought(duplicates.path, duplicates.id).get(slice_name, {}).get("documents")
    if sought != documents.id:
        what, action = "duplicates were not sought in this slice", "materialise text/duplicates again"
        raise DataError("DROPS_SLICE", what, expected=sought, found=documents.id, where=slice_name, action=action)
    own = _lists(duplicates.path, duplicates.id).get(slice_name, read_drops(None))
    path = writer.part("drops.parquet")
    pq.write_table(own.to_arrow().cast(LIST_SCHEMA), path, compression="zstd")
    writer.write_json("slice.json", {"slice": slice_name, "documents": documents.id})
    writer.records(table_records(path))
    writer.stats |= {"rows": len(own)}
