"""Leakage checks on published triples: what the encoder sees, which split a text is in, which file its rows are in.

Every check reads whole columns of whole snapshots, never a sample. They return findings; the caller decides to refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from assets_data.lineage import Snapshot
from assets_data.text.split import SPLITS
from assets_data.text.windows import SPECIALS_PER_ROW

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of a check: how many ``rows`` it looked at, how many of them fail (``count``), and the first few."""

    check: str
    rows: int
    count: int
    examples: tuple[dict[str, Any], ...] = ()

    @property
    def passed(self) -> bool:
        """True when nothing failed."""
        return self.count == 0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form a manifest records."""
        return {"check": self.check, "rows": self.rows, "count": self.count, "passed": self.passed}


def label_leaks(triples: Snapshot) -> Finding:
    """Rows in which a position that is to be predicted can be seen by the encoder.

    Labels are tokens ``[decoder_begin + 1, decoder_end)`` of a row, the encoder sees ``[encoder_begin, encoder_end)``:
    they must not meet. A row with more tokens than a window and its specials holds a position twice: a leak as well.
    """
    most = triples.read_json("layout.json")["window"] + SPECIALS_PER_ROW
    rows, count, examples = 0, 0, []
    for split in SPLITS:
        for batch in triples.table(f"{split}.arrow").to_batches():
            leaking = np.flatnonzero(_leaks(batch, most))
            examples += _examples(batch, leaking[: _SHOWN - len(examples)], split)
            rows, count = rows + batch.num_rows, count + len(leaking)
    return Finding(check="label_leaks", rows=rows, count=count, examples=tuple(examples))


def split_overlaps(triples: Sequence[Snapshot]) -> Finding:
    """Cleaned texts (by SHA-256) in more than one split, within a slice or across slices. Rows are documents."""
    documents = pl.scan_parquet([snapshot.file("records.parquet") for snapshot in triples])
    texts = documents.group_by("text_id").agg(
        pl.len().alias("documents"),
        pl.col("split").unique().sort().alias("splits"),
        pl.col("origin").sort().head(_SHOWN),
    )
    overlapping = texts.filter(pl.col("splits").list.len() > 1).sort("text_id").collect(engine="streaming")
    return Finding(
        check="split_overlaps",
        rows=documents.select(pl.len()).collect().item(),
        count=overlapping.height,
        examples=tuple(overlapping.head(_SHOWN).to_dicts()),
    )


def misplaced_rows(triples: Snapshot) -> Finding:
    """Rows that stand in the file of one split although their record is listed under another, or not listed at all."""
    listed = pl.scan_parquet(triples.file("records.parquet")).select("record_id", "split")
    rows = pl.concat(
        pl.scan_ipc(triples.file(f"{split}.arrow")).select("record_id", split=pl.lit(split)) for split in SPLITS
    )
    stray = rows.join(listed, on=["record_id", "split"], how="anti").collect(engine="streaming")
    return Finding(
        check="misplaced_rows",
        rows=rows.select(pl.len()).collect().item(),
        count=stray.height,
        examples=tuple(stray.head(_SHOWN).to_dicts()),
    )


def _leaks(rows: pa.RecordBatch, most_tokens: int) -> np.ndarray:
    begin, end = rows.column("encoder_begin").to_numpy(), rows.column("encoder_end").to_numpy()
    first_label, last = rows.column("decoder_begin").to_numpy() + 1, rows.column("decoder_end").to_numpy()
    tokens = rows.column("tokens").value_lengths().to_numpy()
    return ((begin < last) & (first_label < end)) | (tokens > most_tokens)


def _examples(rows: pa.RecordBatch, indices: np.ndarray, split: str) -> list[dict[str, Any]]:
    shown = ["record_id", "start", "encoder_begin", "encoder_end", "decoder_begin", "decoder_end"]
    return [{"split": split, "row": int(i), **rows.select(shown).slice(i, 1).to_pylist()[0]} for i in indices]
