"""Triples (or a mix) as a directory for other programs, and back: JSON lines in the published shape, or Parquet.

Promises that an export is complete or absent, that its ``meta.json`` holds the SHA-256 of every other file, and that
importing it gives the snapshot it came from, by id. Streams by batch. Converts no foreign data.

``{train,val,test}.jsonl`` hold ``encoder_ids``, ``decoder_input_ids`` and ``labels`` spelled out, with the row's key
(16 hex digits), record id and start. Parquet holds the stored columns. All other files are those of the snapshot.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.documents import read_layout
from assets_data.domains.text.read import SPLITS, TriplesLayout
from assets_data.domains.text.rows import rows_schema
from assets_data.lineage import DataError, IntegrityError, Snapshot, SnapshotWriter, Store, digest_file
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.identity.record_ids import table_records
from assets_data.lineage.identity.tables import iter_batches
from assets_data.lineage.storage import atomic

NAMES = {"train": "train", "validation": "val", "test": "test"}
FORMATS = ("jsonl", "parquet")
KINDS = ("text/triples", "text/mix")
BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportConfig:
    """An import has nothing to set: it is decided by the export."""


def export_triples(store: Store, triples: Snapshot, directory: Path, file_format: str = "jsonl") -> None:
    """Write ``triples`` and its tokenizer to a new ``directory``. Raises DataError EXPORT_EXISTS, EXPORT_FORMAT for an
    unknown format and EXPORT_KIND for a snapshot that holds no triples; StorageError when the disk refuses.
    """
    if file_format not in FORMATS:
        raise DataError("EXPORT_FORMAT", "no such format", expected=FORMATS, found=file_format)
    if triples.kind not in KINDS:
        raise DataError("EXPORT_KIND", "not a set of triples", expected=KINDS, found=triples.kind, where=triples.path)
    triples.verify()
    temp = atomic.temp_beside(directory)
    with atomic.disk_errors(directory):
        if directory.exists():
            raise _exists(directory)
        temp.mkdir(parents=True)
        try:
            _write_export(store, triples, temp, file_format)
            if not atomic.publish_directory(temp, directory):
                raise _exists(directory)
        finally:
            shutil.rmtree(temp, ignore_errors=True)


def import_triples(store: Store, directory: Path) -> Snapshot:
    """Publish (or reuse) the snapshot an export was made of. Raises IntegrityError EXPORT_CHANGED when a file is not
    the one that was exported or is gone, or the rows do not give the snapshot id that ``meta.json`` names; DataError
    EXPORT_META when the folder is no export.
    """
    meta = _read_meta(directory / "meta.json")
    for name, digest in meta["files"].items():
        found = digest_file(directory / name) if (directory / name).is_file() else "no such file"
        if found != digest:
            raise _changed(directory / name, digest, found)
    snapshot = store.run_stage(
        name=meta["kind"],
        module=__name__,
        config=ImportConfig(),
        arguments={"export": digest_file(directory / "meta.json")},
        parents={},
        build=lambda writer: _build(writer, directory, meta),
    )
    if snapshot.id != meta["snapshot"]:
        raise _changed(directory / "meta.json", meta["snapshot"], snapshot.id)
    return snapshot


def _read_meta(path: Path) -> dict[str, Any]:
    """What an export says of itself: kind, snapshot, format, and the digest of each of its files, by plain name."""
    if not path.is_file():
        raise _no_export(path, "no such file")
    document = load_json(path.read_bytes(), path)
    meta = document.get("stemma") if isinstance(document, dict) else None
    if not isinstance(meta, dict) or not meta.keys() >= {"kind", "snapshot", "format", "files"}:
        raise _no_export(path, meta)
    files = meta["files"]
    if meta["format"] not in FORMATS or meta["kind"] not in KINDS or not isinstance(files, dict):
        raise _no_export(path, meta)
    needed = {"layout.json", *(f"{name}.{meta['format']}" for name in NAMES.values())}
    if not files.keys() >= needed or any(Path(name).name != name for name in files):
        raise _no_export(path, sorted(files))
    return meta


def _write_export(store: Store, triples: Snapshot, folder: Path, file_format: str) -> None:
    layout = read_layout(triples, TriplesLayout)
    for name, entry in triples.files.items():
        if entry["part"] and Path(name).stem not in SPLITS:
            shutil.copyfile(triples.file(name), folder / name)
    shutil.copyfile(store.snapshot(layout["tokenizer"]).file("tokenizer.json"), folder / "tokenizer.json")
    write = _write_jsonl if file_format == "jsonl" else _write_parquet
    for split, name in NAMES.items():
        write(triples.file(f"{split}.arrow"), folder / f"{name}.{file_format}")
    files = {path.name: digest_file(path) for path in sorted(folder.iterdir())}
    meta = {
        "max_seq_len": layout["window"],
        **{f"{name}_samples": triples.content["splits"][split] for split, name in NAMES.items()},
        "vocab_size": layout["vocab_size"],
        **{f"{name}_token_id": layout["specials"][name] for name in ("pad", "bos", "eos")},
        "tokenizer_file": "tokenizer.json",
        "stemma": {"snapshot": triples.id, "kind": triples.kind, "format": file_format, "files": files},
    }
    atomic.write_json(folder / "meta.json", meta)
    for path in folder.iterdir():
        atomic.sync_path(path)


def _write_jsonl(source: Path, target: Path) -> None:
    with open(target, "w", encoding="ascii") as file:
        for batch in iter_batches(source):
            file.writelines(json.dumps(_spelled_out(row), separators=(",", ":")) + "\n" for row in batch.to_pylist())


def _spelled_out(row: dict[str, Any]) -> dict[str, Any]:
    tokens, begin, end = row["tokens"], row["decoder_begin"], row["decoder_end"]
    return {
        "encoder_ids": tokens[row["encoder_begin"] : row["encoder_end"]],
        "decoder_input_ids": tokens[begin : end - 1],
        "labels": tokens[begin + 1 : end],
        "row_key": f"{row['row_key']:016x}",
        **{name: row[name] for name in ("record_id", "start", "source") if name in row},
    }


def _write_parquet(source: Path, target: Path) -> None:
    with pa.OSFile(str(source)) as file, pa.ipc.open_file(file) as reader:
        with pq.ParquetWriter(target, reader.schema, compression="zstd") as table:
            for batch in iter_batches(source):
                table.write_batch(batch)


def _build(writer: SnapshotWriter, directory: Path, meta: Mapping[str, Any]) -> None:
    for name in meta["files"]:
        if Path(name).stem not in {*NAMES.values(), "tokenizer"}:
            shutil.copyfile(directory / name, writer.part(name))
    layout = json.loads((directory / "layout.json").read_bytes())
    schema = rows_schema(np.dtype(np.uint16 if layout["vocab_size"] <= 1 << 16 else np.uint32))
    if "sources" in layout:
        schema = schema.append(pa.field("source", pa.uint32()))
    read = _read_jsonl if meta["format"] == "jsonl" else _read_parquet
    for split, name in NAMES.items():
        writer.splits[split] = 0
        with pa.ipc.new_file(str(writer.part(f"{split}.arrow")), schema) as table:
            for batch in read(directory / f"{name}.{meta['format']}", schema):
                table.write_batch(batch)
                writer.splits[split] += batch.num_rows
    writer.records(table_records(directory / "records.parquet"))
    writer.stats |= {"rows": sum(writer.splits.values())}


def _read_jsonl(source: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with open(source, encoding="ascii") as file:
        while lines := list(islice(file, BATCH_ROWS)):
            yield pa.RecordBatch.from_pylist([_stored(json.loads(line)) for line in lines], schema)


def _stored(row: dict[str, Any]) -> dict[str, Any]:
    begin, tokens = len(row["encoder_ids"]), [*row["encoder_ids"], *row["decoder_input_ids"], row["labels"][-1]]
    spans = {"encoder_begin": 0, "encoder_end": begin, "decoder_begin": begin, "decoder_end": len(tokens)}
    return {**row, "row_key": int(row["row_key"], 16), "tokens": tokens, **spans}


def _read_parquet(source: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in iter_batches(source):
        yield batch.cast(schema)


def _no_export(path: Path, found: Any) -> DataError:
    expected = "kind, snapshot, format and files under 'stemma'"
    action = "name a folder that stemma export-triples wrote"
    return DataError("EXPORT_META", "this is no export", expected=expected, found=found, where=path, action=action)


def _exists(directory: Path) -> DataError:
    return DataError("EXPORT_EXISTS", "an export never overwrites", where=directory, action="name a new directory")


def _changed(where: Path, expected: str, found: str) -> IntegrityError:
    what = "this is not what was exported"
    return IntegrityError("EXPORT_CHANGED", what, expected=expected, found=found, where=where, action="export again")
