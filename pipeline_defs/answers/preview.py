"""What a training row says, for people: its tokens as text."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from assets_data.lineage import Snapshot, Store

CHARACTERS = 100


class Previews:
    """Texts of rows; what is needed to decode a table is opened once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._decoder = functools.cache(self._open)

    def text(self, table: Snapshot, rows: pa.Table, row: int, chunk: int | None, chunks: int) -> str:
        """The start of a row's text. A walk shows its vertices' tokens, a window its text."""
        if "tokens" not in rows.column_names:
            return ""
        ids = rows["tokens"][row].values.to_numpy()
        if chunk is not None:
            ids = np.split(ids[: len(ids) // chunks * chunks], chunks)[chunk]
        return self._decoder(table.path)(ids[:CHARACTERS])[:CHARACTERS]

    def _open(self, path: object) -> Callable[[np.ndarray], str]:
        table = Snapshot.open(path)  # type: ignore[arg-type]
        if "vertices.arrow" in table.files:
            names = table.table("vertices.arrow")["token"].to_pylist()
            return lambda ids: " ".join(names[i] for i in ids)
        if "layout.json" in table.files:
            from tokenizers import Tokenizer

            pinned = self._store.opened(table.read_json("layout.json")["tokenizer"])
            tokenizer = Tokenizer.from_file(str(pinned.file("tokenizer.json")))
            return lambda ids: tokenizer.decode(ids.tolist())
        return lambda ids: " ".join(map(str, ids))
