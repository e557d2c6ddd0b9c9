"""What a table breaks of a pandera schema, in rows that an asset check shows. Imported by schema modules alone, for
pandera's cost.
"""

from __future__ import annotations

from typing import Any

import pandera.polars as pa
import polars as pl

SHOWN = 100  # failure cases reported per table


def column_failures(file: str, frame: pl.DataFrame, schema: pa.DataFrameSchema) -> list[dict[str, Any]]:
    """``{"file", "column", "check", "failure_case", "index"}`` of the first SHOWN failures; empty when all holds.

    ``column`` and ``index`` are None where a check is about more than one.
    """
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        names = ("column", "check", "failure_case", "index")
        return [
            {"file": file, **{name: case[name] for name in names}}
            for case in error.failure_cases.head(SHOWN).to_dicts()
        ]
    return []
