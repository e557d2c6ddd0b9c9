"""The documents stage: one raw slice cleaned once, for the tokenizer, the search for duplicates and the triples.

None of those reads raw text, so none can see a text that the others would not. Holds ``documents.parquet`` (what is
kept, each in its split), ``repeats.parquet`` (records whose cleaned text an earlier record of the slice has: another
spelling of the same text), ``dropped.json`` (counts by reason), ``settings.json`` (how it was cleaned) and
``source.json`` (licence and origin). Memory: some row groups, 32 bytes per document, 66 per record for the record root.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.domains.text.clean import REASONS
from assets_data.domains.text.cleaned import iter_cleaned
from assets_data.domains.text.config import TextConfig
from assets_data.domains.text.progress import counted
from assets_data.lineage import Snapshot, SnapshotWriter, Store, read_sections, to_dict
from assets_data.lineage.identity.record_ids import table_records

SCHEMA = pa.schema(
    [(name, pa.large_string()) for name in ("record_id", "text_id", "origin", "split", "prompt", "text")]
)
REPEATS_SCHEMA = pa.schema([(name, pa.large_string()) for name in ("record_id", "text_id")])
FOUND_HERE = REASONS[: REASONS.index("duplicate") + 1]
"""Why a record is no document, as far as its own slice can tell."""


def make_documents(store: Store, raw_slice: Snapshot, config: TextConfig) -> Snapshot:
    """Publish (or reuse) the slice's documents as ``text/documents``. A slice may have none."""
    return store.run_stage(
        name="text/documents",
        module=__name__,
        config=read_sections(config, ("documents",)),
        parents={"raw_slice": raw_slice},
        seeds={"split": config.documents.seed},
        build=lambda writer: _build(writer, raw_slice, config),
    )


def read_documents(
    documents: Snapshot, drops: pl.DataFrame | None = None, dropped: Counter[str] | None = None
) -> Iterator[pl.DataFrame]:
    """Batches with the columns of :data:`SCHEMA`, without those in ``drops`` (record_id, reason), which are counted."""
    with pq.ParquetFile(documents.file("documents.parquet")) as file:
        for group in range(file.num_row_groups):
            batch = pl.DataFrame(file.read_row_group(group))
            yield batch if drops is None or drops.is_empty() else _without(batch, drops, dropped)


def _build(writer: SnapshotWriter, raw_slice: Snapshot, config: TextConfig) -> None:
    dropped: Counter[str] = Counter(dict.fromkeys(FOUND_HERE, 0))
    kept, repeats = writer.part("documents.parquet"), writer.part("repeats.parquet")
    with _open(kept, SCHEMA) as documents_file, _open(repeats, REPEATS_SCHEMA) as repeats_file:
        rows = raw_slice.content["records"]["count"]
        batches = counted(iter_cleaned(raw_slice, config.documents, dropped), _rows, rows, "text/documents")
        for documents, again in batches:
            documents_file.write_table(documents.select(SCHEMA.names).to_arrow().cast(SCHEMA))
            if len(again):
                repeats_file.write_table(again.select(REPEATS_SCHEMA.names).to_arrow().cast(REPEATS_SCHEMA))
    notes = raw_slice.read_json("parts.json")
    writer.write_json("dropped.json", dict(dropped))
    writer.write_json("settings.json", to_dict(config.documents))
    writer.write_json("source.json", {name: notes[name] for name in ("licence", "origin")})
    rows = pq.read_metadata(kept).num_rows
    writer.records(_records(kept, repeats))
    writer.stats |= {"rows": rows, "dropped": dict(dropped)}


def _rows(frames: tuple[pl.DataFrame, pl.DataFrame]) -> int:
    return sum(map(len, frames))


def _open(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Statistics would put the first and last text of every row group, whole, into the footer."""
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, write_statistics=False)


def _records(*tables: Path) -> np.ndarray:
    return np.concatenate([table_records(table) for table in tables])


def _without(batch: pl.DataFrame, drops: pl.DataFrame, dropped: Counter[str] | None) -> pl.DataFrame:
    reasons = batch.join(drops, on="record_id", how="left", maintain_order="left").get_column("reason")
    if dropped is not None:
        dropped.update(reasons.drop_nulls().to_list())
    return batch.filter(reasons.is_null())
