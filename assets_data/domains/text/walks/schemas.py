"""What the tables of a walk corpus look like, as pandera schemas, and the check of a published corpus against them.

Only asset checks and tests import this module: pandera costs a third of a second to load.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from assets_data.lineage import Snapshot


def vertices_schema(n_blocks: int) -> pa.DataFrameSchema:
    """One row per vertex: numbered from 0, its token (-1: none) and its block; no token twice, no block empty."""
    return pa.DataFrameSchema(
        {
            "vertex": pa.Column(pl.UInt32),
            "token_id": pa.Column(pl.Int32, pa.Check.ge(-1)),
            "token": pa.Column(pl.String),
            "block": pa.Column(pl.UInt16, pa.Check.lt(n_blocks)),
        },
        checks=[
            _each(pl.col("vertex") == pl.int_range(pl.len()), "vertices are numbered from 0"),
            _each((pl.col("token_id") < 0) | pl.col("token_id").is_unique(), "a token is one vertex"),
            _each(pl.col("block").n_unique() == n_blocks, "every block has a vertex"),
        ],
        strict=True,
    )


def edges_schema(n_vertices: int) -> pa.DataFrameSchema:
    """One row per edge, sorted by source and target, weights whole counts; every vertex has a way out and a way in."""
    pair = pl.col("source").cast(pl.Int64) * n_vertices + pl.col("target")
    return pa.DataFrameSchema(
        {
            "source": pa.Column(pl.UInt32, pa.Check.lt(n_vertices)),
            "target": pa.Column(pl.UInt32, pa.Check.lt(n_vertices)),
            "weight": pa.Column(pl.Float64, pa.Check.ge(1)),
        },
        checks=[
            _each(pl.col("weight") == pl.col("weight").floor(), "weights are counts"),
            _each(pl.col("source") != pl.col("target"), "no self loops"),
            _each(pair.diff().fill_null(1) > 0, "edges are sorted and distinct"),
            _each(pl.col("source").n_unique() == n_vertices, "no dead ends"),
            _each(pl.col("target").n_unique() == n_vertices, "no vertex without a way in"),
        ],
        strict=True,
    )


def rules_schema(n_vertices: int, n_blocks: int, walk_length: int) -> pa.DataFrameSchema:
    """One row per rule: at most one per vertex, a block that exists, a deadline that fits into a walk."""
    return pa.DataFrameSchema(
        {
            "vertex": pa.Column(pl.UInt32, pa.Check.lt(n_vertices), unique=True),
            "r": pa.Column(pl.UInt32, pa.Check.in_range(1, walk_length - 1)),
            "target_block": pa.Column(pl.UInt16, pa.Check.lt(n_blocks)),
        },
        checks=_each(pl.len() >= 1, "there is a rule"),
        strict=True,
    )


def walks_schema(n_vertices: int, walk_length: int) -> pa.DataFrameSchema:
    """One row per walk: its vertices and its row key."""
    number = pl.UInt16 if n_vertices <= 1 << 16 else pl.UInt32
    known = _each(pl.col("tokens").arr.max() < n_vertices, "walks stay on vertices")
    return pa.DataFrameSchema(
        {"tokens": pa.Column(pl.Array(number, walk_length), known), "row_key": pa.Column(pl.UInt64)}, strict=True
    )


def schema_problems(corpus: Snapshot) -> list[str]:
    """Every way the corpus' tables break their schemas, one line per table, column and check; empty when sound."""
    frames = {name: _frame(corpus, name) for name in ("vertices", "edges", "rules", "train", "heldout")}
    n, blocks = len(frames["vertices"]), frames["vertices"]["block"].n_unique()
    length = frames["train"].schema["tokens"].shape[0]  # type: ignore[attr-defined]
    walks = walks_schema(n, length)
    schemas = {
        "vertices": vertices_schema(blocks),
        "edges": edges_schema(n),
        "rules": rules_schema(n, blocks, length),
        "train": walks,
        "heldout": walks,
    }
    return [f"{name}.arrow: {line}" for name, schema in schemas.items() for line in problems(frames[name], schema)]


def problems(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> list[str]:
    """Every way a table breaks its schema, one line per column and check with the number of rows; empty when sound."""
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        counted = errors.failure_cases.group_by("column", "check", maintain_order=True).len()
        return [f"{column or 'table'}: {check} ({rows} rows)" for column, check, rows in counted.iter_rows()]
    return []


def _frame(corpus: Snapshot, name: str) -> pl.DataFrame:
    return pl.DataFrame(corpus.table(f"{name}.arrow"))


def _each(expression: pl.Expr, name: str) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(expression), name=name, error=name)
