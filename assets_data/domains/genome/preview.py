"""What a training row says, for people: ``stemma batch`` shows it beside the records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assets_data.domains.genome.read import EMPTY, KINDS, decode
from assets_data.lineage import Snapshot, Store

SHOWN = 40  # bases


def open_preview(store: Store, table: Snapshot) -> Callable[[Mapping[str, Any], int | None, int], str]:
    """``text(row, chunk, chunks)`` of the rows (as dicts) of one table; its rows are never cut into chunks."""

    def text(row: Mapping[str, Any], chunk: int | None, chunks: int) -> str:
        if "codes" in row:
            return f"{row['contig']}:{row['start'] + 1} {decode(np.array(row['codes'][:SHOWN], np.uint8))}..."
        steps = (_step(row, step) for step in range(1, int(row.get("steps", 0)) + 1))
        return f"{row['contig']}:{row['anchor'] + 1} " + ", ".join(steps)

    return text


def _step(row: Mapping[str, Any], step: int) -> str:
    deleted, inserted = (_bases(row[f"{name}_{step}"]) for name in ("deleted", "inserted"))
    return f"{KINDS[row[f'kind_{step}']]} {row[f'offset_{step}']:+d} {deleted or '-'}>{inserted or '-'}"


def _bases(codes: Any) -> str:
    found = np.array(codes, np.uint8)
    return decode(found[found != EMPTY])
