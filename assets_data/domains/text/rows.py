"""The columns of the stored rows of triples, and of the documents they come from. Reading them is in ``read``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets_data.domains.text.read import SPANS

COLUMNS = ("row_key", "record_id", "start", "tokens", *SPANS)
RECORDS_SCHEMA = pa.schema([(name, pa.string()) for name in ("record_id", "origin", "split", "text_id")])


def rows_schema(token_type: np.dtype) -> pa.Schema:
    """Columns of a ``{split}.arrow`` file; tokens are uint16 while the vocabulary fits."""
    tokens = pa.large_list(pa.from_numpy_dtype(token_type))
    types = [pa.uint64(), pa.string(), pa.uint32(), tokens, *[pa.uint32() for _ in SPANS]]
    return pa.schema(list(zip(COLUMNS, types, strict=True)))
