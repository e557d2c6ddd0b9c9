"""A raw slice as documents: cleaned, filtered, free of repeats, each in its split. Streamed by row group, several at a
time; memory is that of two row groups per thread, and 32 bytes per document. Only the documents stage reads raw text.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.domains.text.clean import SeenDigests, cleaned, drop_reasons
from assets_data.domains.text.config import DocumentsConfig
from assets_data.domains.text.prefetch import mapped_ahead
from assets_data.domains.text.split import assign_splits
from assets_data.lineage import Snapshot
from assets_data.lineage.identity.digests import digest_key64

COLUMNS = ("record_id", "origin", "text", "prompt", "split")


def iter_cleaned(
    raw: Snapshot, config: DocumentsConfig, dropped: Counter[str]
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """``(documents, repeats)`` batch by batch, with columns record_id, origin, text and prompt (both cleaned), text_id
    (64 hex) and split.

    Of equal documents in the slice the first is kept, the others are its repeats. Adds the number of dropped documents
    per reason to ``dropped``. A split that the source gave stays.
    """
    seen = SeenDigests()
    workers = 2 * pl.thread_pool_size()  # while some hash, under the GIL, the others keep polars' pool busy
    groups = mapped_ahead(lambda table: _filtered(table, config), _row_groups(raw), workers)
    for frame, digests, reasons in groups:
        dropped.update(reasons)
        unseen = seen.unseen(digests)
        dropped["duplicate"] += int(len(unseen) - unseen.sum())
        documents = _with_splits(frame, digests, config)
        yield documents.filter(unseen), documents.filter(~unseen)


def text_digest(prompt: str, text: str) -> bytes:
    """SHA-256 of a cleaned text; of a pair, with NUL between prompt and response (no cleaned text holds one)."""
    return hashlib.sha256((f"{prompt}\0{text}" if prompt else text).encode()).digest()


def _row_groups(raw: Snapshot) -> Iterator[pa.Table]:
    with pq.ParquetFile(raw.file("records.parquet")) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=list(COLUMNS))


def _filtered(table: pa.Table, config: DocumentsConfig) -> tuple[pl.DataFrame, np.ndarray, list[str]]:
    """The cleaned rows within bounds, the digest of each (uint8[n, 32]), and why the others are dropped."""
    frame = pl.DataFrame(table)
    paired = frame.get_column("prompt") != ""
    if paired.any():
        frame = frame.with_columns(cleaned(pl.col("text")), cleaned(pl.col("prompt")))
        reasons = _pair_reasons(frame.with_columns(paired.alias("paired")), config)
    else:
        frame = frame.with_columns(cleaned(pl.col("text")))
        reasons = drop_reasons(frame.get_column("text"), config)
    frame = frame.filter(reasons.is_null())
    digests = _digests(frame)
    frame = frame.with_columns(pl.Series("text_id", digests, dtype=pl.Binary).bin.encode("hex"))
    return frame, np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32), reasons.drop_nulls().to_list()


def _pair_reasons(frame: pl.DataFrame, config: DocumentsConfig) -> pl.Series:
    """Bounds hold for prompt and response together; a pair that lost either is too short whatever they are."""
    paired, prompt, text = pl.col("paired"), pl.col("prompt"), pl.col("text")
    whole = pl.when(paired).then(pl.concat_str(prompt, pl.lit("\n"), text)).otherwise(text)
    reasons = drop_reasons(frame.select(whole.alias("text")).get_column("text"), config)
    lost = paired & ((prompt == "") | (text == ""))
    return frame.select(reason=pl.when(lost).then(pl.lit("too_short")).otherwise(reasons)).get_column("reason")


def _with_splits(frame: pl.DataFrame, digests: np.ndarray, config: DocumentsConfig) -> pl.DataFrame:
    drawn = pl.Series(assign_splits(digest_key64(digests), config).tolist(), dtype=pl.String)
    return frame.with_columns(split=pl.when(pl.col("split") == "").then(drawn).otherwise(pl.col("split")))


def _digests(frame: pl.DataFrame) -> list[bytes]:
    """:func:`text_digest` of every row; of plain text over the column's own memory, no string made."""
    prompts, texts = frame.get_column("prompt"), frame.get_column("text")
    if (prompts != "").any():
        return [text_digest(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    column = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, values = column.buffers()
    ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1].tolist()
    memory = memoryview(values)
    return [hashlib.sha256(memory[begin:end]).digest() for begin, end in itertools.pairwise(ends)]
