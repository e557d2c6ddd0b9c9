"""A raw slice as documents: cleaned, filtered, free of exact duplicates, each in its split. Streamed by row group.

The tokenizer and the triples both read documents from here, so neither can see a text the other would not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.lineage import Snapshot
from assets_data.text.clean import SeenDigests, cleaned, drop_reasons
from assets_data.text.config import DocumentsConfig
from assets_data.text.split import assign_splits


def iter_documents(raw: Snapshot, config: DocumentsConfig, dropped: Counter[str]) -> Iterator[pl.DataFrame]:
    """Batches with columns record_id, origin, text (cleaned), text_id (its SHA-256, 64 hex) and split.

    Of equal texts in the slice the first is kept. Adds the number of dropped documents per reason to ``dropped``.
    """
    seen = SeenDigests()
    with pq.ParquetFile(raw.file("records.parquet")) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["record_id", "origin", "text"])
            kept = _filtered(table, config, dropped)
            yield _unique(kept, seen, config, dropped)


def _filtered(table: pa.Table, config: DocumentsConfig, dropped: Counter[str]) -> pl.DataFrame:
    frame = pl.DataFrame(table).with_columns(cleaned(pl.col("text")))
    reasons = drop_reasons(frame.get_column("text"), config)
    dropped.update(reasons.drop_nulls().to_list())
    return frame.filter(reasons.is_null())


def _unique(frame: pl.DataFrame, seen: SeenDigests, config: DocumentsConfig, dropped: Counter[str]) -> pl.DataFrame:
    digests = [hashlib.sha256(text.encode()).digest() for text in frame.get_column("text")]
    unseen = seen.unseen(digests)
    dropped["duplicate"] += int(len(unseen) - unseen.sum())
    keys = np.frombuffer(b"".join(digest[:8] for digest in digests), dtype=">u8").astype(np.uint64)
    return frame.with_columns(
        pl.Series("text_id", [digest.hex() for digest in digests], dtype=pl.String),
        pl.Series("split", assign_splits(keys, config).tolist(), dtype=pl.String),
    ).filter(unseen)
