"""The raw_slice stage: one slice of a source as records, exactly as read.

Promises that reuse is by content: the source's bytes are digested before the stage is looked up, and again after each
file is read. Memory is bounded by row groups, and 66 bytes per record for the record root. Does not clean, deduplicate
or split: a record here is what the source says. A slice may be empty; a source without any row is refused.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.domains.text.shuffle import shuffled
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store
from assets_data.lineage.identity.record_ids import among, decode_records, table_records
from assets_data.lineage.receipts.receipt import SourcePart
from assets_data.lineage.storage.sealing import Outside
from assets_data.lineage.storage.tombstones import WITHDRAWN
from assets_data.sources.config import SourceConfig
from assets_data.sources.parts import Fetching, Part, Record, Rooted, Source, planned_digest
from assets_data.sources.recorded import record_source
from assets_data.sources.sources import open_source

SCHEMA = pa.schema([(name, pa.large_string()) for name in ("record_id", "text", "prompt", "split", "origin", "part")])
CARRIED = pa.field("carried", pa.large_string())  # JSON of the fields to carry, in slices that carry some
ROW_GROUP_BYTES = 8 << 20  # text held before it is written; readers hold one row group too
# Statistics would put the first and last text of every row group, whole, into the footer.
_ENCODING: dict[str, Any] = {"compression": "zstd", "write_statistics": False, "use_dictionary": ["split", "part"]}
LEFT_OUT = ("missing", "malformed")
SHOWN = 10  # files named in a message or among the figures


def make_raw_slice(store: Store, slice_name: str, config: SourceConfig) -> Snapshot:
    """Publish (or reuse) the slice as a ``text/raw_slice`` snapshot: ``records.parquet`` and ``parts.json``.

    Raises DataError when the slice is unknown, a file changes while it is read or its bytes are refused, and
    RAW_SLICE_EMPTY when neither this slice nor another one of the source has a row.
    """
    source = open_source(config, store)
    parts = source.parts(slice_name)
    snapshot = store.run_stage(
        name="text/raw_slice",
        module=__name__,
        config=config,
        arguments={"slice": slice_name, "parts_digest": planned_digest(parts)},
        parents={},
        seeds={"shuffle": config.seed},
        sources=[SourcePart(part.origin, part.sha256.removeprefix("sha256:"), part.url) for part in parts if part.url],
        build=lambda writer: _build(writer, source, slice_name, parts, config, store.withdrawn),
        outside=_outside(source, parts, config),
    )
    record_source(store, config)
    return snapshot


def _outside(source: Source, parts: list[Part], config: SourceConfig) -> Outside:
    """The files that were digested and the folder they were found in; of a source that fetches its ledger and login."""
    ledger = [source.ledger.root] if isinstance(source, Fetching) else []
    found_in = [source.root] if isinstance(source, Rooted) else []
    login = [config.http.auth_env] if ledger and config.http.auth_env else []
    reads = [part.path for part in parts]
    return Outside(reads=reads, lists=found_in, writes=ledger, network=bool(ledger), secrets=login)


def arguments_now(config: SourceConfig, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of a slice that its source decides, local files read again; nothing for a remote source.

    Raises DataError when the source or the slice is gone.
    """
    if config.source == "http_index":
        return {}
    return {"parts_digest": planned_digest(open_source(config).parts(arguments["slice"]))}


def record_id(text: str, prompt: str = "") -> str:
    """64 hex characters: SHA-256 of the record's canonical JSON, ``{"text": ...}``, with ``"prompt"`` if it has one.

    The standard library writes RFC 8785 of an object of strings whose keys are in order, at C speed.
    """
    document = {"prompt": prompt, "text": text} if prompt else {"text": text}
    return hashlib.sha256(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def without_records(writer: SnapshotWriter, raw_slice: Snapshot, gone: np.ndarray) -> None:
    """Write the slice as it is without the records ``gone`` (uint8[n, 32], ascending), as reading it again would."""
    table = raw_slice.table("records.parquet")
    mask = among(decode_records(table["record_id"].combine_chunks(), raw_slice.path), gone)
    left = table.filter(pa.array(~mask))
    notes = raw_slice.read_json("parts.json")
    for part in notes["parts"]:
        own = int(mask[(table["part"].to_numpy() == part["origin"])].sum())
        if own:
            part |= {"records": part["records"] - own, WITHDRAWN: part.get(WITHDRAWN, 0) + own}
    file = writer.part("records.parquet")
    pq.write_table(left, file, **_ENCODING)
    writer.write_json("parts.json", notes)
    writer.records(table_records(file))
    writer.stats |= {**raw_slice.stats, "rows": left.num_rows, WITHDRAWN: int(mask.sum())}


def _build(
    writer: SnapshotWriter,
    source: Source,
    slice_name: str,
    parts: list[Part],
    config: SourceConfig,
    withdrawn: np.ndarray,
) -> None:
    counts: dict[str, Counter[str]] = {part.origin: Counter() for part in parts}
    rows = 0
    file = writer.part("records.parquet")
    with pq.ParquetWriter(file, _schema(config), compression_level=config.zstd_level, **_ENCODING) as table:
        for batch in _ordered(source, parts, counts, config, writer.path):
            left = _left(batch, withdrawn, counts, writer)
            table.write_table(left)
            rows += len(left)
    if not rows and WITHDRAWN not in writer.found:
        _require_others(source, slice_name, parts, counts)
    left_out = {reason: sum(count[reason] for count in counts.values()) for reason in LEFT_OUT}
    writer.write_json("parts.json", _parts_document(source, parts, counts))
    writer.records(table_records(file))
    writer.stats |= {"rows": rows, "parts": len(parts), "source_bytes": sum(part.bytes for part in parts), **left_out}
    writer.stats |= {**_empty_parts(parts, counts, config), **source.stats}
    if surplus := sum(count["records"] for count in counts.values()) - rows:
        writer.stats["beyond_max_records"] = surplus  # of a shuffled slice, all of which is read


def _require_others(source: Source, slice_name: str, parts: list[Part], counts: dict[str, Counter[str]]) -> None:
    """Raise DataError RAW_SLICE_EMPTY, naming the files, when no other slice of the source holds a row either."""
    if source.rows_besides(slice_name):
        return
    files = [part.origin for part in parts]
    left_out = {reason: n for reason in LEFT_OUT if (n := sum(count[reason] for count in counts.values()))}
    shown = ", ".join(files[:SHOWN]) + (f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else "")
    found = f"none in {shown}" + (f"; left out: {left_out}" if left_out else "")
    action = "add files with rows, or set raw_slice.extract to the fields that hold the text"
    raise DataError("RAW_SLICE_EMPTY", "the source has not one row", expected="a row", found=found, action=action)


def _empty_parts(parts: list[Part], counts: dict[str, Counter[str]], config: SourceConfig) -> dict[str, object]:
    """How many files hold no row, and the first of them; under ``max_records`` some files are never read."""
    empty = [part.origin for part in parts if not counts[part.origin].total()]
    read = config.shuffle or not config.max_records or sum(c["records"] for c in counts.values()) < config.max_records
    return {"empty_parts": len(empty), "empty": empty[:SHOWN]} if empty and read else {}


def _left(batch: pa.Table, withdrawn: np.ndarray, counts: dict[str, Counter[str]], writer: SnapshotWriter) -> pa.Table:
    """The rows that nobody withdrew; the others are counted by part, and listed in the receipt."""
    if not len(withdrawn):
        return batch
    mask = among(decode_records(batch["record_id"].combine_chunks(), "records"), withdrawn)
    if not mask.any():
        return batch
    gone = batch.filter(pa.array(mask))
    for origin in gone["part"].to_pylist():
        counts[origin].update({WITHDRAWN: 1, "records": -1})
    writer.found[WITHDRAWN] = sorted({*writer.found.get(WITHDRAWN, []), *gone["record_id"].to_pylist()})
    return batch.filter(pa.array(~mask))


def _parts_document(source: Source, parts: list[Part], counts: dict[str, Counter[str]]) -> dict[str, object]:
    """Where the records came from: notes of the source, and of each file its digest, rows read and rows left out."""
    entries = [
        {k: v for k, v in asdict(part).items() if k not in ("path", "url") and v is not None}
        | {name: counts[part.origin][name] for name in ("records", *LEFT_OUT)}
        | {name: counts[part.origin][name] for name in (WITHDRAWN,) if counts[part.origin][name]}
        for part in parts
    ]
    return {"licence": source.licence, "origin": source.origin, "parts": entries}


def _ordered(
    source: Source, parts: list[Part], counts: dict[str, Counter[str]], config: SourceConfig, folder: Path
) -> Iterator[pa.Table]:
    """The first ``max_records`` records in the source's order; or in a keyed one, for which all of them are read."""
    if config.shuffle:
        batches = _batches(_records(source, parts, counts, 0), _schema(config))
        return shuffled(batches, config.seed, config.max_records, ROW_GROUP_BYTES, folder)
    return _batches(_records(source, parts, counts, config.max_records), _schema(config))


def _records(
    source: Source, parts: list[Part], counts: dict[str, Counter[str]], most: int
) -> Iterator[tuple[Record, Part]]:
    """Every record up to ``most`` (0: all), part by part; each part's digest is checked again once it is read."""
    left = most or sys.maxsize
    for part in parts:
        for record in itertools.islice(source.records(part, counts[part.origin]), left):
            counts[part.origin]["records"] += 1
            yield record, part
        part.require_unchanged()
        left -= counts[part.origin]["records"]


def _schema(config: SourceConfig) -> pa.Schema:
    return SCHEMA.append(CARRIED) if config.extract.carry else SCHEMA


def _batches(records: Iterator[tuple[Record, Part]], schema: pa.Schema) -> Iterator[pa.Table]:
    size = 0
    columns: dict[str, list[str]] = {name: [] for name in schema.names}
    for record, part in records:
        row = (record_id(record.text, record.prompt), record.text, record.prompt, record.split, record.origin)
        for column, value in zip(columns.values(), (*row, part.origin, record.carried), strict=False):
            column.append(value)
        size += len(record.text) + len(record.prompt) + len(record.carried) + 2 * len(record.origin) + 64
        if size >= ROW_GROUP_BYTES:
            yield pa.table(columns, schema)
            size, columns = 0, {name: [] for name in schema.names}
    if size:
        yield pa.table(columns, schema)
