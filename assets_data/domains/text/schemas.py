"""Whether a snapshot of the text domain keeps the schemas of its tables, which are in ``table_schemas``.

Failures are returned, not raised: an asset check shows them. Only checks and tests import this, for pandera's cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandera.polars as pa
import polars as pl

from assets_data.columns import column_failures
from assets_data.documents import read_layout, read_manifest
from assets_data.domains.text import table_schemas as schemas
from assets_data.domains.text.read import SPLITS, TriplesLayout
from assets_data.domains.text.walks.schemas import schema_problems
from assets_data.lineage import Snapshot, Store
from assets_data.stage import Outcome

_CASE_CHARS = 200

Table = tuple[str, pl.DataFrame, pa.DataFrameSchema]


def check_schema(_store: Store, snapshot: Snapshot) -> Outcome:
    """Whether every table of a snapshot keeps its schema."""
    failures = schema_failures(snapshot)
    return Outcome(passed=not failures, facts={"failures": len(failures)}, failures=failures)


def schema_failures(snapshot: Snapshot) -> list[dict[str, Any]]:
    """``{"file", "column", "check", "case", "row"}`` for the first SHOWN failures of each file; empty when all hold.

    ``column`` and ``row`` are None where a check is about more than one. Knows every ``text/`` kind that holds tables.
    """
    if snapshot.kind == "text/walk_corpus":
        return [
            {"file": line.split(":")[0], "column": None, "check": line, "case": "", "row": None}
            for line in schema_problems(snapshot)
        ]
    return [failure for table in _TABLES[snapshot.kind](snapshot) for failure in _failures(*table)]


def _raw_slice_tables(snapshot: Snapshot) -> Iterator[Table]:
    yield "records.parquet", pl.DataFrame(snapshot.table("records.parquet")), schemas.raw_records_schema()
    yield "parts.json", pl.DataFrame(snapshot.read_json("parts.json")["parts"]), schemas.parts_schema()


def _triples_tables(snapshot: Snapshot) -> Iterator[Table]:
    layout = read_layout(snapshot, TriplesLayout)
    rows = schemas.rows_schema(layout["vocab_size"], layout["window"])
    for split in SPLITS:
        yield f"{split}.arrow", pl.DataFrame(snapshot.table(f"{split}.arrow")), rows
    yield "records.parquet", pl.DataFrame(snapshot.table("records.parquet")), schemas.documents_schema()
    dropped = snapshot.read_json("dropped.json")
    yield (
        "dropped.json",
        pl.DataFrame({"reason": list(dropped), "count": list(dropped.values())}),
        schemas.dropped_schema(),
    )


def _documents_tables(snapshot: Snapshot) -> Iterator[Table]:
    yield "documents.parquet", pl.DataFrame(snapshot.table("documents.parquet")), schemas.cleaned_schema()
    yield "repeats.parquet", pl.DataFrame(snapshot.table("repeats.parquet")), schemas.repeats_schema()


def _index_tables(snapshot: Snapshot) -> Iterator[Table]:
    table = pl.DataFrame(snapshot.table("documents.parquet"))
    yield "documents.parquet", table.with_columns(pl.col(pl.Binary).bin.encode("hex")), schemas.index_schema()


def _drops_tables(snapshot: Snapshot) -> Iterator[Table]:
    yield "drops.parquet", pl.DataFrame(snapshot.table("drops.parquet")), schemas.list_schema()


def _tokenizer_tables(snapshot: Snapshot) -> Iterator[Table]:
    vocabulary = snapshot.read_json("tokenizer.json")["model"]["vocab"]
    frame = pl.DataFrame({"token": list(vocabulary), "id": list(vocabulary.values())})
    yield "tokenizer.json", frame, schemas.tokenizer_schema()


def _duplicates_tables(snapshot: Snapshot) -> Iterator[Table]:
    yield "drops.parquet", pl.DataFrame(snapshot.table("drops.parquet")), schemas.drops_schema()


def _summary_tables(snapshot: Snapshot) -> Iterator[Table]:
    for file, schema in schemas.summary_schemas().items():
        yield file, pl.DataFrame(snapshot.table(file)), schema


def _manifest_tables(snapshot: Snapshot) -> Iterator[Table]:
    manifest = read_manifest(snapshot)
    members = [(role, "", value) for role, value in manifest["members"].items() if role != "triples"]
    members += [("triples", name, value) for name, value in manifest["members"]["triples"].items()]
    yield "manifest.json", pl.DataFrame(members, schema=["role", "slice", "id"], orient="row"), schemas.members_schema()
    yield "manifest.json", pl.DataFrame(manifest["checks"]), schemas.checks_schema()


_TABLES: dict[str, Callable[[Snapshot], Iterator[Table]]] = {
    "text/raw_slice": _raw_slice_tables,
    "text/documents": _documents_tables,
    "text/document_index": _index_tables,
    "text/drops": _drops_tables,
    "text/tokenizer": _tokenizer_tables,
    "text/duplicates": _duplicates_tables,
    "text/quality_summary": _summary_tables,
    "text/triples": _triples_tables,
    "text/dataset_manifest": _manifest_tables,
}


def _failures(file: str, frame: pl.DataFrame, schema: pa.DataFrameSchema) -> list[dict[str, Any]]:
    found = column_failures(file, frame, schema)
    return [
        {
            "file": file,
            "column": failure["column"],
            "check": failure["check"],
            "case": str(failure["failure_case"])[:_CASE_CHARS],
            "row": failure["index"],
        }
        for failure in found
    ]
