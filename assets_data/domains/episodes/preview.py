"""What a training row says, for people: which rows of which episode, and what they look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from assets_data.documents import read_layout
from assets_data.domains.episodes.read import Layout, open_steps
from assets_data.lineage import Snapshot, Store


def open_preview(store: Store, table: Snapshot) -> Callable[[Mapping[str, Any], int | None, int], str]:
    """``text(row, chunk, chunks)`` of the rows (as dicts) of one table: of sequences, or of a slice's episodes."""
    if table.kind == "episodes/raw_slice":
        return lambda row, chunk, chunks: _ends(row, f"{row['length']} steps, return {row['return']:.4g}")
    slices = [store.opened(entry["id"]) for entry in read_layout(table, Layout)["slices"]]
    steps = [open_steps(snapshot) for snapshot in slices]

    def text(row: Mapping[str, Any], chunk: int | None, chunks: int) -> str:
        first = steps[row["slice"]].obs[row["begin"] + row["low"]].ravel()[:4]
        shown = " ".join(f"{value:.3g}" for value in first.tolist())
        where = f"{row['length']} rows from {row['low']}..{row['high'] - 1} of {row['rows']}: obs {shown} ..."
        return _ends(row, where)

    return text


def _ends(row: Mapping[str, Any], text: str) -> str:
    return f"{text}{', terminated' if row['terminated'] else ''}"
