"""The quality_summary stage: what the slices hold and what was left out, per slice and in total, as three small tables.

Lengths are counted in bins of powers of two. Reads every record and every row once, by batch; memory is four bytes per
record and per document. Judges nothing: the checks do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from assets_data.domains.text.duplicates import natural_order
from assets_data.domains.text.raw_slice import LEFT_OUT
from assets_data.domains.text.read import SPLITS
from assets_data.domains.text.windows import SPECIALS_PER_ROW
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store
from assets_data.lineage.identity.tables import iter_batches

TOTAL = "*"
MEASURES = ("characters_per_record", "tokens_per_document")
SLICES_SCHEMA = pa.schema(
    [("slice", pa.string())]
    + [(name, pa.int64()) for name in ("records", *LEFT_OUT, "documents", *SPLITS, "rows", "tokens")]
    + [(f"{measure}_{name}", pa.int64()) for measure in MEASURES for name in ("p05", "p50", "p95", "max")]
)
DROPS_SCHEMA = pa.schema([("slice", pa.string()), ("reason", pa.string()), ("count", pa.int64())])
LENGTHS_SCHEMA = pa.schema(
    [("slice", pa.string()), ("measure", pa.string())] + [(name, pa.int64()) for name in ("low", "high", "count")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One slice, counted: ``lengths`` by measure, ``documents`` by split."""

    slice: str
    lengths: Mapping[str, np.ndarray]
    documents: Mapping[str, int]
    rows: int
    dropped: Mapping[str, int]


def make_quality_summary(store: Store, raw_slice: Mapping[str, Snapshot], triples: Mapping[str, Snapshot]) -> Snapshot:
    """Publish (or reuse) ``slices.parquet``, ``drops.parquet`` and ``lengths.parquet`` over the slices in both.

    The total is under the slice name ``*``. Raises DataError QUALITY_EMPTY when there is no slice.
    """
    names = sorted(raw_slice.keys() & triples.keys(), key=natural_order)
    return store.run_stage(
        name="text/quality_summary",
        module=__name__,
        config={},
        arguments={"slices": names},
        parents={"raw_slice": [raw_slice[name] for name in names], "triples": [triples[name] for name in names]},
        build=lambda writer: _build(writer, [_count(name, raw_slice[name], triples[name]) for name in names]),
    )


def _build(writer: SnapshotWriter, slices: Sequence[Facts]) -> None:
    if not slices:
        raise DataError("QUALITY_EMPTY", "a summary needs at least one slice", action="materialise text/triples first")
    facts = [*slices, _total(slices)]
    writer.write_table("slices.parquet", pa.Table.from_pylist([_slice_row(one) for one in facts], SLICES_SCHEMA))
    drops = [
        {"slice": one.slice, "reason": reason, "count": n} for one in facts for reason, n in sorted(one.dropped.items())
    ]
    writer.write_table("drops.parquet", pa.Table.from_pylist(drops, DROPS_SCHEMA))
    bins = [row for one in facts for measure in MEASURES for row in _bins(one.slice, measure, one.lengths[measure])]
    writer.write_table("lengths.parquet", pa.Table.from_pylist(bins, LENGTHS_SCHEMA))
    writer.stats |= {"slices": len(slices), **{k: v for k, v in _slice_row(facts[-1]).items() if k != "slice"}}


def _count(name: str, raw: Snapshot, triples: Snapshot) -> Facts:
    parts = raw.read_json("parts.json")["parts"]
    tokens = {split: np.concatenate([*_document_tokens(triples, split), np.zeros(0, np.int32)]) for split in SPLITS}
    return Facts(
        slice=name,
        lengths={
            "characters_per_record": np.concatenate([*_record_characters(raw), np.zeros(0, np.int32)]),
            "tokens_per_document": np.concatenate(list(tokens.values())),
        },
        documents={split: len(lengths) for split, lengths in tokens.items()},
        rows=sum(triples.content["splits"].values()),
        dropped=triples.read_json("dropped.json") | {name: sum(part[name] for part in parts) for name in LEFT_OUT},
    )


def _total(slices: Sequence[Facts]) -> Facts:
    reasons = sorted({reason for one in slices for reason in one.dropped})
    return Facts(
        slice=TOTAL,
        lengths={measure: np.concatenate([one.lengths[measure] for one in slices]) for measure in MEASURES},
        documents={split: sum(one.documents[split] for one in slices) for split in SPLITS},
        rows=sum(one.rows for one in slices),
        dropped={reason: sum(one.dropped.get(reason, 0) for one in slices) for reason in reasons},
    )


def _record_characters(raw: Snapshot) -> Iterator[np.ndarray]:
    """int32 per record: characters of prompt and text."""
    for batch in iter_batches(raw.file("records.parquet")):
        lengths = [pc.utf8_length(batch.column(name)).to_numpy() for name in ("prompt", "text")]
        yield (lengths[0] + lengths[1]).astype(np.int32)


def _document_tokens(triples: Snapshot, split: str) -> Iterator[np.ndarray]:
    """int32 per document: tokens of its rows without specials. A document's rows follow each other in one batch."""
    for batch in iter_batches(triples.file(f"{split}.arrow")):
        rows = pl.DataFrame({"record_id": batch.column("record_id"), "tokens": batch.column("decoder_end")})
        documents = rows.group_by(pl.col("record_id").rle_id(), maintain_order=True)
        yield (
            documents.agg(pl.col("tokens").sum() - SPECIALS_PER_ROW * pl.len())
            .get_column("tokens")
            .to_numpy()
            .astype(np.int32)
        )


def _slice_row(facts: Facts) -> dict[str, Any]:
    lengths = facts.lengths
    row: dict[str, Any] = {
        "slice": facts.slice,
        "records": len(lengths["characters_per_record"]),
        **{name: facts.dropped[name] for name in LEFT_OUT},
        "documents": len(lengths["tokens_per_document"]),
        **facts.documents,
        "rows": facts.rows,
        "tokens": int(lengths["tokens_per_document"].sum(dtype=np.int64)),
    }
    for measure in MEASURES:
        filled = lengths[measure] if len(lengths[measure]) else np.zeros(1)
        levels = np.quantile(filled, (0.05, 0.5, 0.95, 1), method="lower")
        row |= {f"{measure}_{name}": int(n) for name, n in zip(("p05", "p50", "p95", "max"), levels, strict=True)}
    return row


def _bins(name: str, measure: str, lengths: np.ndarray) -> Iterator[dict[str, Any]]:
    """Counts in ``[low, high)``: ``[0, 2)``, then doubling; empty bins between filled ones are there too."""
    exponents = np.log2(np.maximum(lengths, 1)).astype(np.int64)
    for exponent, count in enumerate(np.bincount(exponents).tolist()):
        low = 1 << exponent if exponent else 0
        yield {"slice": name, "measure": measure, "low": low, "high": 2 << exponent, "count": count}
