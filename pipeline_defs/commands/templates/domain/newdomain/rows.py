"""The rows stage: a slice's records as scaled numbers, one memory-mappable table per split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, read_sections
from assets_data.lineage.identity.digests import digest_key64
from assets_data.lineage.identity.record_ids import decode_records
from newdomain.config import TableConfig
from newdomain.raw_slice import IDS
from newdomain.read import SPLITS
from newdomain.split import assign_splits

SCHEMA = pa.schema(
    [
        ("row_key", pa.uint64()),  # decides the row's place in every epoch: from what the record says, nothing else
        ("record_id", pa.string()),
        ("group_id", pa.string()),
        ("features", pa.list_(pa.float32())),
        ("target", pa.float32()),
    ]
)


def make_rows(store: Store, raw_slice: Snapshot, scaler: Snapshot, config: TableConfig) -> Snapshot:
    """Publish (or reuse) ``train.arrow``, ``validation.arrow``, ``test.arrow`` and ``layout.json``.

    Raises DataError NEWDOMAIN_COLUMNS when the scaler does not know a column, or no column is the target.
    """
    return store.run_stage(
        name="newdomain/rows",
        module=__name__,
        config=read_sections(config, ("split", "rows")),
        parents={"raw_slice": raw_slice, "scaler": scaler},
        build=lambda writer: _build(writer, raw_slice, scaler, config),
    )


def _build(writer: SnapshotWriter, raw_slice: Snapshot, scaler: Snapshot, config: TableConfig) -> None:
    records, moments = raw_slice.table("records.parquet"), scaler.read_json("scaler.json")
    target = config.rows.target
    numbers = [name for name in records.column_names if name not in IDS] if records.num_rows else list(moments)
    if unknown := sorted({*numbers, target} - set(moments)):
        what, action = "columns that the scaler does not know", "materialise newdomain/scaler again"
        raise DataError("NEWDOMAIN_COLUMNS", what, expected=sorted(moments), found=unknown, action=action)
    features = [name for name in numbers if name != target]
    splits = assign_splits(records, config.split)
    for split in SPLITS:
        table = _table(records.filter(pa.array(splits == split)), features, target, moments)
        writer.write_table(f"{split}.arrow", table)
        writer.splits[split] = table.num_rows
    layout = {"features": features, "target": target, "scaler": scaler.id, "split_by": config.split.by}
    writer.write_json("layout.json", layout)
    writer.records(records["record_id"].to_pylist())
    writer.stats |= {"rows": records.num_rows}


def _table(records: pa.Table, features: list[str], target: str, moments: dict[str, Any]) -> pa.Table:
    def scaled(name: str) -> np.ndarray:
        values = records[name].to_numpy() if records.num_rows else np.empty(0)
        return ((values - moments[name]["mean"]) / moments[name]["deviation"]).astype(np.float32)

    features_ND = np.stack([scaled(name) for name in features], 1)
    offsets = np.arange(len(features_ND) + 1, dtype=np.int32) * len(features)
    keys = digest_key64(decode_records(records["record_id"].combine_chunks(), "record_id"))
    columns = [keys, records["record_id"], records["group_id"], _lists(offsets, features_ND), scaled(target)]
    return pa.table(dict(zip(SCHEMA.names, columns, strict=True)), SCHEMA)


def _lists(offsets: np.ndarray, values_ND: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values_ND.ravel()))
