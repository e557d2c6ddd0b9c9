"""The raw_slice stage: one slice of a source as records, exactly as read.

Promises that reuse is by content: the source's bytes are digested before the stage is looked up, and again after each
file is read. Does not clean, deduplicate or split: a record here is what the source says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.fetch.config import SourceConfig
from assets_data.fetch.parts import Part, Record, Source
from assets_data.fetch.sources import open_source
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, canonical_json, digest_json

SCHEMA = pa.schema([(name, pa.large_string()) for name in ("record_id", "text", "origin", "part")])
ROW_GROUP_BYTES = 8 << 20  # text held before it is written; readers hold one row group too


def make_raw_slice(store: Store, slice_name: str, config: SourceConfig) -> Snapshot:
    """Publish (or reuse) the slice as a ``text/raw_slice`` snapshot: ``records.parquet`` and ``parts.json``.

    Raises DataError when the slice is unknown or empty, a file changes while it is read, or its bytes are refused.
    """
    source = open_source(config)
    parts = source.parts(slice_name)
    planned = digest_json([[part.origin, part.sha256] for part in parts])
    return store.run_stage(
        name="text/raw_slice",
        module=__name__,
        config=config,
        arguments={"slice": slice_name, "parts_digest": planned},
        parents={},
        build=lambda writer: _build(writer, source, parts, config.max_record_bytes),
    )


def record_id(text: str) -> str:
    """64 hex characters: the SHA-256 of the record's canonical JSON, ``{"text": ...}``."""
    return hashlib.sha256(canonical_json({"text": text})).hexdigest()


def _build(writer: SnapshotWriter, source: Source, parts: list[Part], max_record_bytes: int) -> None:
    counts: dict[str, int] = {}
    ids: list[bytes] = []
    with pq.ParquetWriter(writer.part("records.parquet"), SCHEMA, compression="zstd") as table:
        for batch in _batches(_rows(source, parts, counts, max_record_bytes)):
            table.write_table(batch)
            ids += [bytes.fromhex(value) for value in batch["record_id"].to_pylist()]
    if not ids:
        raise DataError("RAW_SLICE_EMPTY", "a slice has no records", found=[part.origin for part in parts][:10])
    entries = [{k: v for k, v in asdict(p).items() if k != "path"} | {"records": counts[p.origin]} for p in parts]
    writer.write_json("parts.json", {"licence": source.licence, "origin": source.origin, "parts": entries})
    writer.records(ids)
    writer.stats |= {"rows": len(ids), "parts": len(parts), "source_bytes": sum(part.bytes for part in parts)}


def _rows(source: Source, parts: list[Part], counts: dict[str, int], max_record_bytes: int) -> Iterator[dict[str, str]]:
    """Every record as a row, part by part; each part's digest is checked again once it is read."""
    for part in parts:
        counts[part.origin] = 0
        for record in source.records(part):
            _require_storable(record, max_record_bytes)
            counts[part.origin] += 1
            yield {
                "record_id": record_id(record.text),
                "text": record.text,
                "origin": record.origin,
                "part": part.origin,
            }
        part.require_unchanged()


def _require_storable(record: Record, max_record_bytes: int) -> None:
    try:
        size = len(record.text.encode())
    except UnicodeEncodeError as error:
        raise DataError("RECORD_NOT_UNICODE", "a text holds half a surrogate pair", where=record.origin) from error
    if size > max_record_bytes:
        limit = f"at most {max_record_bytes:,} bytes"
        raise DataError("RECORD_TOO_LONG", "a text is too long", expected=limit, found=f"{size:,}", where=record.origin)


def _batches(rows: Iterator[dict[str, str]]) -> Iterator[pa.Table]:
    held: list[dict[str, str]] = []
    size = 0
    for row in rows:
        held.append(row)
        size += sum(map(len, row.values()))
        if size >= ROW_GROUP_BYTES:
            yield pa.Table.from_pylist(held, SCHEMA)
            held, size = [], 0
    if held:
        yield pa.Table.from_pylist(held, SCHEMA)
