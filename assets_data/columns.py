"""What a table breaks of a pandera schema, in rows that an asset check shows. Imported by schema modules alone, for
pandera's cost.

A table that holds is the usual case, and pandera takes a tenth of a second to say so of a few small ones: several
queries a column. So all of a schema's checks are first asked in one go; unless all of them hold without a doubt,
pandera itself says what does not.
"""

from __future__ import annotations

from typing import Any

import pandera.backends.polars.builtin_checks  # noqa: F401 - they are registered on import
import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

SHOWN = 100  # failure cases reported per table


def column_failures(file: str, frame: pl.DataFrame, schema: pa.DataFrameSchema) -> list[dict[str, Any]]:
    """``{"file", "column", "check", "failure_case", "index"}`` of the first SHOWN failures; empty when all holds.

    ``column`` and ``index`` are None where a check is about more than one.
    """
    if surely_holds(frame, schema):
        return []
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        names = ("column", "check", "failure_case", "index")
        return [
            {"file": file, **{name: case[name] for name in names}}
            for case in error.failure_cases.head(SHOWN).to_dicts()
        ]
    return []


def surely_holds(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> bool:
    """Whether a table keeps a schema for certain: its columns, their types, nulls, uniqueness and all checks.

    False says nothing: the table may break the schema, or the schema asks for what is not looked at here.
    """
    there = [column for name, column in schema.columns.items() if name in frame.columns]
    if _asks_for_more(schema) or not all(_is_plain(frame[column.name], column) for column in there):
        return False
    named, missing = set(schema.columns), set(schema.columns) - set(frame.columns)
    if any(schema.columns[name].required for name in missing) or (schema.strict and set(frame.columns) - named):
        return False
    asked = [(check, "*") for check in schema.checks or ()]
    asked += [(check, column.name) for column in there for check in column.checks]
    try:
        outcomes = pl.collect_all([_outcome(check, frame.lazy(), key) for check, key in asked])
        return all(holds.all(ignore_nulls=False) is True for outcome in outcomes for holds in outcome)
    except Exception:  # pandera runs it again and reports it as the check's failure
        return False


def _asks_for_more(schema: pa.DataFrameSchema) -> bool:
    parts = [schema, *schema.columns.values()]
    checks = [check for part in parts for check in part.checks or ()]
    return (
        bool(schema.unique or schema.ordered or schema.unique_column_names or schema.dtype)
        or schema.strict == "filter"
        or any(part.coerce or part.parsers for part in parts)
        or any(column.regex for column in schema.columns.values())
        or any(check.element_wise or not check.name for check in checks)
    )


def _is_plain(values: pl.Series, column: pa.Column) -> bool:
    """Whether the values have the column's very type, and are unique and there where they must be."""
    nulls = values.null_count() + (values.is_nan().sum() or 0 if values.dtype.is_float() else 0)
    return (
        (column.dtype is None or column.dtype.type == values.dtype)
        and (column.nullable or not nulls)
        and not (column.unique and values.is_duplicated().any())
    )


def _outcome(check: pa.Check, frame: pl.LazyFrame, key: str) -> pl.LazyFrame:
    return check._check_fn(PolarsData(frame, key), **check._check_kwargs)
