"""What a training row says, for people: ``stemma batch`` shows it beside the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from assets_data.documents import read_layout
from assets_data.lineage import Snapshot, Store
from newdomain.read import Layout


def open_preview(store: Store, table: Snapshot) -> Callable[[Mapping[str, Any], int | None, int], str]:
    """``text(row, chunk, chunks)`` of the rows (as dicts) of one table; its rows are never cut into chunks."""
    layout = read_layout(table, Layout)

    def text(row: Mapping[str, Any], chunk: int | None, chunks: int) -> str:
        numbers = zip([*layout["features"], layout["target"]], [*row["features"], row["target"]], strict=True)
        return f"{row['group_id']}: " + " ".join(f"{name}={value:.3g}" for name, value in numbers)

    return text
