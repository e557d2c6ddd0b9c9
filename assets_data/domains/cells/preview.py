"""What a row of cells says, for people: ``stemma batch`` shows it beside the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from assets_data.documents import read_layout
from assets_data.domains.cells.read import Layout
from assets_data.lineage import Snapshot, Store


def open_preview(store: Store, table: Snapshot) -> Callable[[Mapping[str, Any], int | None, int], str]:
    """``text(row, chunk, chunks)`` of the rows (as dicts) of a matrix: who it is and its first ten genes."""
    vocabulary = store.snapshot(read_layout(table, Layout)["vocabulary"])
    names = vocabulary.table("genes.parquet")["name"].to_pylist()

    def text(row: Mapping[str, Any], chunk: int | None, chunks: int) -> str:
        pairs = list(zip(row["genes"], row["counts"], strict=True))[:10]
        who = " ".join(f"{name}={row[name]}" for name in ("cell", "donor", "label", "perturbation") if row[name])
        return f"{who} total={row['total']}: " + " ".join(f"{names[g]}:{c}" for g, c in pairs)

    return text
