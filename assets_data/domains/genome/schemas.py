"""pandera schemas of the domain's tables, checked on whole columns. Imported by checks and tests only, for its cost."""

from __future__ import annotations

from typing import Any

import pandera.polars as pa
import polars as pl

from assets_data.columns import column_failures
from assets_data.documents import read_layout, read_manifest
from assets_data.domains.genome.calls import LABELS
from assets_data.domains.genome.read import ALLELE, EMPTY, KINDS, SPLITS, STEPS, Layout, N
from assets_data.lineage import Snapshot, Store
from assets_data.stage import Outcome

_HEX = pa.Check.str_matches(r"^[0-9a-f]{64}$")
_SHA = pa.Check.str_matches(r"^sha256:[0-9a-f]{64}$")
_NAME = pa.Check.str_length(min_value=1)
_BASES = pa.Check.str_matches(r"^[ACGTN]+$")
_FROM_0 = pa.Check.ge(0)


def check_schema(_store: Store, snapshot: Snapshot) -> Outcome:
    """Whether everything in a snapshot of this domain keeps its schema."""
    failures = _CHECKS[snapshot.kind](snapshot)
    return Outcome(passed=not failures, facts={"failures": len(failures)}, failures=failures)


def _lists(width: int, most: int) -> pa.Check:
    """Lists of one length of codes up to ``most``."""
    return pa.Check(
        lambda data: data.lazyframe.select(
            (pl.col(data.key).list.len() == width) & (pl.col(data.key).list.max().fill_null(0) <= most)
        )
    )


def _variants(snapshot: Snapshot) -> list[dict[str, Any]]:
    schema = pa.DataFrameSchema(
        {
            "record_id": pa.Column(pl.String, _HEX, unique=True),
            "contig": pa.Column(pl.String, _NAME),
            "pos": pa.Column(pl.Int64, _FROM_0),
            "ref": pa.Column(pl.String, _BASES),
            "alt": pa.Column(pl.String, _BASES),
            "kind": pa.Column(pl.String, pa.Check.isin(KINDS)),
            "count": pa.Column(pl.Int64, pa.Check.ge(-1)),
            "frequency": pa.Column(pl.Float64, pa.Check.in_range(-1, 1)),
            "label": pa.Column(pl.String, pa.Check.isin(("", *LABELS))),
            "spellings": pa.Column(pl.String, _NAME),
        },
        strict=True,
    )
    failures = _failures(snapshot, "alleles.parquet", schema)
    stats = snapshot.stats
    if "folded" in stats:
        total = stats["rows"] + stats["folded"] + sum(stats["left_out"].values()) + stats["withdrawn"]
        if total != stats["read"]:
            failures.append(
                {"check": "alleles in = kept + folded + left out", "expected": stats["read"], "found": total}
            )
    return failures


def _reference(snapshot: Snapshot) -> list[dict[str, Any]]:
    schema = pa.DataFrameSchema(
        {
            "record_id": pa.Column(pl.String, _HEX, unique=True),
            "contig": pa.Column(pl.String, _NAME, unique=True),
            "length": pa.Column(pl.Int64, pa.Check.ge(1)),
            "circular": pa.Column(pl.Boolean),
            "read_only": pa.Column(pl.Boolean),
            "digest": pa.Column(pl.String, _SHA),
            "codes": pa.Column(pl.Binary),
            "lower": pa.Column(pl.List(pl.Int64)),
        },
        strict=True,
    )
    return _failures(snapshot, "contigs.parquet", schema)


def _split(snapshot: Snapshot) -> list[dict[str, Any]]:
    schema = pa.DataFrameSchema(
        {
            "record_id": pa.Column(pl.String, _HEX),
            "contig": pa.Column(pl.String, _NAME),
            "start": pa.Column(pl.Int64, _FROM_0),
            "end": pa.Column(pl.Int64, pa.Check.ge(1)),
            "split": pa.Column(pl.String, pa.Check.isin(SPLITS)),
        },
        checks=pa.Check(lambda data: data.lazyframe.select(pl.col("start") < pl.col("end"))),
        strict=True,
    )
    return _failures(snapshot, "regions.parquet", schema)


def _windows(snapshot: Snapshot) -> list[dict[str, Any]]:
    schema = pa.DataFrameSchema(
        {
            "row_key": pa.Column(pl.UInt64, unique=True),
            "record_id": pa.Column(pl.String, _HEX),
            "contig": pa.Column(pl.String, _NAME),
            "start": pa.Column(pl.Int64, _FROM_0),
            "codes": pa.Column(pl.List(pl.UInt8), _lists(read_layout(snapshot, Layout)["width"], N - 1)),
        },
        strict=True,
    )
    return [failure for split in SPLITS for failure in _failures(snapshot, f"{split}.arrow", schema)]


def _trajectories(snapshot: Snapshot) -> list[dict[str, Any]]:
    width, numbers = read_layout(snapshot, Layout)["width"], range(1, STEPS + 1)
    small, allele = pa.Column(pl.Int16), pa.Column(pl.List(pl.UInt8), _lists(ALLELE, EMPTY))
    schema = pa.DataFrameSchema(
        {
            "row_key": pa.Column(pl.UInt64, unique=True),
            "record_id": pa.Column(pl.String, _HEX),
            **{f"record_id_{step}": pa.Column(pl.String, _HEX) for step in numbers},
            "contig": pa.Column(pl.String, _NAME),
            "anchor": pa.Column(pl.Int64, _FROM_0),
            "steps": pa.Column(pl.UInt8, pa.Check.in_range(1, STEPS)),
            **{f"kind_{step}": pa.Column(pl.UInt8, pa.Check.lt(len(KINDS))) for step in numbers},
            **{f"{name}_{step}": small for name in ("offset", "shift") for step in numbers},
            **{f"{name}_{step}": allele for name in ("deleted", "inserted") for step in numbers},
            **{f"window_{state}": pa.Column(pl.List(pl.UInt8), _lists(width, N - 1)) for state in range(STEPS + 1)},
        },
        strict=True,
    )
    return [failure for split in SPLITS for failure in _failures(snapshot, f"{split}.arrow", schema)]


def _manifest(snapshot: Snapshot) -> list[dict[str, Any]]:
    document = read_manifest(snapshot)
    members = pl.DataFrame({"id": list(document["members"].values())})
    failed = [check for check in document["checks"] if not check["passed"]]
    return column_failures("manifest.json", members, pa.DataFrameSchema({"id": pa.Column(pl.String, _SHA)})) + failed


def _failures(snapshot: Snapshot, file: str, schema: pa.DataFrameSchema) -> list[dict[str, Any]]:
    path = snapshot.file(file)
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.DataFrame(snapshot.table(file))
    return column_failures(file, frame, schema)


_CHECKS = {
    "genome/variants": _variants,
    "genome/reference": _reference,
    "genome/split": _split,
    "genome/windows": _windows,
    "genome/trajectories": _trajectories,
    "genome/dataset_manifest": _manifest,
}
