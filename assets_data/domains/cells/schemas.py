"""pandera schemas of the domain's tables, checked on whole columns. Imported by checks and tests only, for its cost."""

from __future__ import annotations

from typing import Any

import pandera.polars as pa
import polars as pl

from assets_data.columns import column_failures
from assets_data.documents import read_manifest
from assets_data.domains.cells.quality_summary import MEASURES, QUANTILES
from assets_data.domains.cells.raw_cells import CELLS, GENES, REPEATS
from assets_data.domains.cells.read import SPLITS
from assets_data.lineage import Snapshot, Store, text_key64
from assets_data.stage import Outcome

_HEX = pa.Check.str_matches(r"^[0-9a-f]{64}$")
_NAME = pa.Check.str_length(min_value=1)
_SOME = pa.Check.ge(1)
_FINITE = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_finite()))
_POSITIVE = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).list.min() > 0))
_UNIQUE = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).list.n_unique() == pl.col(data.key).list.len()))
_LISTS = {"genes": pa.Column(pl.List(pl.UInt32), _UNIQUE), "counts": pa.Column(pl.List(pl.UInt32), _POSITIVE)}
_IDS = {"record_id": pa.Column(pl.String, _HEX, unique=True), "content_id": pa.Column(pl.String, _HEX)}
_ABOUT = {name: pa.Column(pl.String) for name in ("cell", "donor", "batch", "label", "perturbation")}
_WHO = {"group_id": pa.Column(pl.String, _NAME), "dataset": pa.Column(pl.String, _NAME), **_ABOUT}


def check_schema(_store: Store, snapshot: Snapshot) -> Outcome:
    """Whether everything in a snapshot of this domain keeps its schema."""
    failures = _CHECKS[snapshot.kind](snapshot)
    return Outcome(passed=not failures, facts={"failures": len(failures)}, failures=failures)


def _raw_cells(snapshot: Snapshot) -> list[dict[str, Any]]:
    genes = pl.DataFrame(snapshot.table(GENES))
    cells = pl.read_parquet(snapshot.file(CELLS))
    raw = {**_IDS, **_WHO, "total": pa.Column(pl.UInt64, _SOME), **_LISTS}
    raw["content_id"] = pa.Column(pl.String, _HEX, unique=True)
    named = {
        "name": pa.Column(pl.String, _NAME, unique=True),
        "key": pa.Column(pl.UInt64, unique=True),
        "mitochondrial": pa.Column(pl.Boolean),
    }
    repeats = {**_IDS, "group_id": pa.Column(pl.String, _NAME)}
    return [
        *_failures(CELLS, cells, raw),
        *_consistent(CELLS, cells, len(genes)),
        *_failures(REPEATS, pl.read_parquet(snapshot.file(REPEATS)), repeats),
        *_failures(GENES, genes, named),
        *_wrong_keys(GENES, genes),
    ]


def _matrix(snapshot: Snapshot) -> list[dict[str, Any]]:
    columns = {"row_key": pa.Column(pl.UInt64), **_IDS, **_WHO, "total": pa.Column(pl.UInt64, _SOME)}
    columns |= {"outside": pa.Column(pl.UInt64), "copies": pa.Column(pl.UInt32, _SOME)}
    columns |= {"level": pa.Column(pl.UInt32, _SOME), **_LISTS}
    found = []
    for split in SPLITS:
        frame = pl.DataFrame(snapshot.table(f"{split}.arrow"))
        found += _failures(f"{split}.arrow", frame, columns)
        keys = frame["record_id"].str.head(16).str.to_integer(base=16, dtype=pl.UInt64)
        wrong = frame.with_row_index("row").filter(pl.col("row_key") != keys)["row"].head(20).to_list()
        found += [{"file": f"{split}.arrow", "row": row, "check": "the key begins the record id"} for row in wrong]
    return found


def _vocabulary(snapshot: Snapshot) -> list[dict[str, Any]]:
    genes = pl.DataFrame(snapshot.table("genes.parquet"))
    columns = {
        "name": pa.Column(pl.String, _NAME, unique=True),
        "key": pa.Column(pl.UInt64, unique=True),
        "cells": pa.Column(pl.Float64, _SOME),
        "median": pa.Column(pl.Float32, [_FINITE, pa.Check.gt(0)]),
    }
    bins = snapshot.read_json("vocabulary.json")["bins"]
    found = [] if bins == sorted(bins) else [{"file": "vocabulary.json", "check": "bins ascend"}]
    return [*_failures("genes.parquet", genes, columns), *_wrong_keys("genes.parquet", genes), *found]


def _quality(snapshot: Snapshot) -> list[dict[str, Any]]:
    whole, name = pa.Column(pl.Int64, pa.Check.ge(0)), pa.Column(pl.String, _NAME)
    levels = {f"{measure}_{level}": whole for measure in MEASURES for level in QUANTILES}
    counts = {n: whole for n in ("read", "empty", "duplicate", "rows", "genes", "mitochondrial_genes")}
    tables = {
        "groups": {"dataset": name, "group": name, "cells": whole, **levels},
        "histograms": {"dataset": name, "measure": name, "low": whole, "high": whole, "cells": whole},
        "datasets": {"dataset": name, **counts},
    }
    return [f for n, c in tables.items() for f in _failures(n, pl.DataFrame(snapshot.table(f"{n}.parquet")), c)]


def _manifest(snapshot: Snapshot) -> list[dict[str, Any]]:
    document = read_manifest(snapshot)
    members = [document["members"]["vocabulary"], *document["members"]["matrix"].values()]
    columns = {"id": pa.Column(pl.String, pa.Check.str_matches(r"^sha256:[0-9a-f]{64}$"))}
    failed = [check for check in document["checks"] if not check["passed"]]
    return _failures("manifest.json", pl.DataFrame({"id": members}), columns) + failed


def _consistent(file: str, cells: pl.DataFrame, genes: int) -> list[dict[str, Any]]:
    """A count per gene, every gene one of the dataset's, and no more counted than the total."""
    wrong = cells.with_row_index("row").filter(
        (pl.col("genes").list.len() != pl.col("counts").list.len())
        | (pl.col("genes").list.max().fill_null(0) >= genes)
        | (pl.col("counts").list.sum() > pl.col("total"))
    )
    rows = wrong["row"].head(20).to_list()
    return [{"file": file, "row": row, "check": "counts belong to genes and add up"} for row in rows]


def _wrong_keys(file: str, genes: pl.DataFrame) -> list[dict[str, Any]]:
    said = text_key64(genes["name"].to_list())
    rows = (genes["key"].to_numpy() != said).nonzero()[0][:20].tolist()
    return [{"file": file, "row": row, "check": "the key is the digest of the name"} for row in rows]


def _failures(file: str, frame: pl.DataFrame, columns: dict[str, Any]) -> list[dict[str, Any]]:
    found = column_failures(file, frame, pa.DataFrameSchema(columns, strict=True))
    return [{name: str(value) for name, value in failure.items()} for failure in found]


_CHECKS = {
    "cells/raw_cells": _raw_cells,
    "cells/vocabulary": _vocabulary,
    "cells/matrix": _matrix,
    "cells/quality_summary": _quality,
    "cells/dataset_manifest": _manifest,
}
