"""The raw_slice stage: one CSV file as records, each with the digest of what it says as its id.

Promises that reuse is by content (the file's digest is in the receipt), and that a withdrawn record stays away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.lineage import Snapshot, SnapshotWriter, Store, digest_bytes, digest_json
from assets_data.lineage.identity.record_ids import among, decode_records
from assets_data.lineage.storage.tombstones import WITHDRAWN
from newdomain.config import SourceConfig
from newdomain.source import GROUP, Row, parse, read_bytes

KIND = "newdomain/raw_slice"
IDS = ("record_id", "group_id")


def make_raw_slice(store: Store, slice_name: str, config: SourceConfig) -> Snapshot:
    """Publish (or reuse) a slice: ``records.parquet`` with ``record_id``, ``group_id`` and a column per number."""
    data = read_bytes(config, slice_name)
    return store.run_stage(
        name=KIND,
        module=__name__,
        config=config,
        arguments={"slice": slice_name, "digest": digest_bytes(data)},
        parents={},
        build=lambda writer: _build(writer, parse(data, slice_name), store.withdrawn),
    )


def arguments_now(config: SourceConfig, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What of a receipt's arguments the source decides, read again: how ``stemma status`` sees that a file changed."""
    return {"digest": digest_bytes(read_bytes(config, arguments["slice"]))}


def without_records(writer: SnapshotWriter, raw_slice: Snapshot, gone: np.ndarray) -> None:
    """Write a slice as it is without the records ``gone`` (uint8[n, 32], ascending), as reading it again would."""
    _write(writer, raw_slice.table("records.parquet"), gone, raw_slice.stats)


def record_id(row: Row) -> str:
    """64 hex characters: SHA-256 of the row's canonical JSON."""
    return digest_json(row).removeprefix("sha256:")


def _build(writer: SnapshotWriter, rows: Sequence[Row], withdrawn: np.ndarray) -> None:
    distinct = {record_id(row): row for row in rows}  # a row that is there twice is one record
    numbers = [name for name in (rows[0] if rows else {}) if name != GROUP]
    columns = {
        "record_id": pa.array(list(distinct), pa.string()),
        "group_id": pa.array([row[GROUP] for row in distinct.values()], pa.string()),
        **{name: pa.array([row[name] for row in distinct.values()], pa.float64()) for name in numbers},
    }
    _write(writer, pa.table(columns), withdrawn, {"read": len(rows), "duplicate": len(rows) - len(distinct)})


def _write(writer: SnapshotWriter, table: pa.Table, gone: np.ndarray, counts: Mapping[str, Any]) -> None:
    """The rows that nobody withdrew. Those that somebody did are counted, and listed in the receipt."""
    mask = among(decode_records(table["record_id"].combine_chunks(), KIND), gone)
    left = table.filter(pa.array(~mask))
    if mask.any():
        writer.found[WITHDRAWN] = sorted(table.filter(pa.array(mask))["record_id"].to_pylist())
    writer.write_table("records.parquet", left)
    writer.records(left["record_id"].to_pylist())
    writer.stats |= {name: counts[name] for name in ("read", "duplicate")}  # read = duplicate + withdrawn + rows
    writer.stats |= {"rows": left.num_rows, WITHDRAWN: counts.get(WITHDRAWN, 0) + int(mask.sum())}
