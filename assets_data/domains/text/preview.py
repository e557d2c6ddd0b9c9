"""What a training row of text says, for people: its tokens as text; of a walk, its vertices' tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assets_data.documents import read_layout
from assets_data.domains.text.read import TriplesLayout, read_decoder
from assets_data.lineage import Snapshot, Store

CHARACTERS = 100


def open_preview(store: Store, table: Snapshot) -> Callable[[Any, int | None, int], str]:
    """``text(row, chunk, chunks)`` of the rows (as dicts) of one table: the start of a row, or of one of its chunks."""
    decode = _decoder(store, table)

    def text(row: Any, chunk: int | None, chunks: int) -> str:
        ids = np.asarray(row.get("tokens", ()), np.int64)
        if chunk is not None:
            ids = np.split(ids[: len(ids) // chunks * chunks], chunks)[chunk]
        return decode(ids[:CHARACTERS])[:CHARACTERS]

    return text


def _decoder(store: Store, table: Snapshot) -> Callable[[np.ndarray], str]:
    if "vertices.arrow" in table.files:
        names = table.table("vertices.arrow")["token"].to_pylist()
        return lambda ids: " ".join(names[i] for i in ids)
    if "layout.json" in table.files:
        return read_decoder(store.opened(read_layout(table, TriplesLayout)["tokenizer"]))
    return lambda ids: " ".join(map(str, ids))
