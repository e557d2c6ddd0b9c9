"""pandera schemas of the domain's tables, checked on whole columns. Imported by checks and tests only, for its cost."""

from __future__ import annotations

from typing import Any

import pandera.polars as pa
import polars as pl

from assets_data.documents import read_layout, read_manifest
from assets_data.lineage import Snapshot, Store
from assets_data.stage import Outcome
from newdomain.raw_slice import IDS, record_id
from newdomain.read import SPLITS, Layout
from newdomain.source import GROUP

_HEX = pa.Check.str_matches(r"^[0-9a-f]{64}$")
_NAME = pa.Check.str_length(min_value=1)
_FINITE = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_finite()))


def check_schema(_store: Store, snapshot: Snapshot) -> Outcome:
    """Whether everything in a snapshot of this domain keeps its schema."""
    failures = _CHECKS[snapshot.kind](snapshot)
    return Outcome(passed=not failures, facts={"failures": len(failures)}, failures=failures)


def _raw_slice(snapshot: Snapshot) -> list[dict[str, Any]]:
    frame = pl.read_parquet(snapshot.file("records.parquet"))
    numbers = [name for name in frame.columns if name not in IDS]
    schema = pa.DataFrameSchema(
        {
            "record_id": pa.Column(pl.String, _HEX, unique=True),
            "group_id": pa.Column(pl.String, _NAME),
            **{name: pa.Column(pl.Float64, _FINITE) for name in numbers},
        },
        strict=True,
    )
    said = [record_id({GROUP: row["group_id"], **{name: row[name] for name in numbers}}) for row in frame.to_dicts()]
    wrong = [row for row, (a, b) in enumerate(zip(said, frame["record_id"], strict=True)) if a != b]
    others = [{"file": "records.parquet", "row": row, "check": "the id is the digest of the row"} for row in wrong]
    return _failures("records.parquet", frame, schema) + others


def _rows(snapshot: Snapshot) -> list[dict[str, Any]]:
    width = len(read_layout(snapshot, Layout)["features"])
    whole = pa.Check(
        lambda data: data.lazyframe.select(
            (pl.col(data.key).list.len() == width) & pl.col(data.key).list.eval(pl.element().is_finite()).list.all()
        )
    )
    schema = pa.DataFrameSchema(
        {
            "row_key": pa.Column(pl.UInt64, unique=True),
            "record_id": pa.Column(pl.String, _HEX, unique=True),
            "group_id": pa.Column(pl.String, _NAME),
            "features": pa.Column(pl.List(pl.Float32), whole),
            "target": pa.Column(pl.Float32, _FINITE),
        },
        strict=True,
    )
    names = [f"{split}.arrow" for split in SPLITS]
    return [failure for name in names for failure in _failures(name, pl.DataFrame(snapshot.table(name)), schema)]


def _scaler(snapshot: Snapshot) -> list[dict[str, Any]]:
    columns = [{"column": name, **moments} for name, moments in snapshot.read_json("scaler.json").items()]
    schema = pa.DataFrameSchema(
        {
            "column": pa.Column(pl.String, _NAME, unique=True),
            "mean": pa.Column(pl.Float64, _FINITE),
            "deviation": pa.Column(pl.Float64, [_FINITE, pa.Check.gt(0)]),
        },
        strict=True,
    )
    return _failures("scaler.json", pl.DataFrame(columns), schema)


def _manifest(snapshot: Snapshot) -> list[dict[str, Any]]:
    document = read_manifest(snapshot)
    members = [document["members"]["scaler"], *document["members"]["rows"].values()]
    schema = pa.DataFrameSchema({"id": pa.Column(pl.String, pa.Check.str_matches(r"^sha256:[0-9a-f]{64}$"))})
    failed = [check for check in document["checks"] if not check["passed"]]
    return _failures("manifest.json", pl.DataFrame({"id": members}), schema) + failed


def _failures(file: str, frame: pl.DataFrame, schema: pa.DataFrameSchema) -> list[dict[str, Any]]:
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        names = ("column", "check", "failure_case", "index")
        return [
            {"file": file, **{name: case[name] for name in names}} for case in error.failure_cases.head(100).to_dicts()
        ]
    return []


_CHECKS = {
    "newdomain/raw_slice": _raw_slice,
    "newdomain/scaler": _scaler,
    "newdomain/rows": _rows,
    "newdomain/dataset_manifest": _manifest,
}
