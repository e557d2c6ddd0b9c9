"""The document index of one slice: what its documents are called, in the order of their texts. Holds no text.

Made once per slice and reused for ever, so seeking duplicates over all slices reads the newest slice's texts only.
Memory: 170 bytes per document of the slice, and a signature each where near-duplicates are sought.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.domains.text.config import TextConfig
from assets_data.domains.text.documents import read_documents
from assets_data.domains.text.near import Signer
from assets_data.lineage import Snapshot, SnapshotWriter, Store, read_sections
from assets_data.lineage.identity.record_ids import decode_records

DIGEST = pa.large_binary()  # 32 bytes
GROUP_ROWS = 1 << 15


def make_document_index(store: Store, documents: Snapshot, config: TextConfig) -> Snapshot:
    """Publish (or reuse) ``documents.parquet``: text_id and record_id (32 bytes each) by text_id, and ``signature``
    (uint32 minima) where ``config.duplicates.near`` is on.
    """
    return store.run_stage(
        name="text/document_index",
        module=__name__,
        config=read_sections(config, ("duplicates",)),
        parents={"documents": documents},
        seeds={"signature": config.duplicates.seed},
        build=lambda writer: _build(writer, documents, config),
    )


def index_schema(signature: int) -> pa.Schema:
    """Columns of an index; ``signature`` is its length, 0 for none."""
    near = [("signature", pa.list_(pa.uint32(), signature))] if signature else []
    return pa.schema([("text_id", DIGEST), ("record_id", DIGEST), *near])


def _build(writer: SnapshotWriter, documents: Snapshot, config: TextConfig) -> None:
    signer = Signer(config.duplicates) if config.duplicates.near else None
    texts, records, signatures = [np.zeros((0, 32), np.uint8)], [np.zeros((0, 32), np.uint8)], []
    for batch in read_documents(documents):
        texts.append(decode_records(batch.get_column("text_id").to_arrow(), documents.path))
        records.append(decode_records(batch.get_column("record_id").to_arrow(), documents.path))
        signatures += [signer.sign(prompt, text) for prompt, text in _pairs(batch)] if signer else []
    text_ids, record_ids = np.concatenate(texts), np.concatenate(records)
    order = np.argsort(text_ids.view("S32").ravel())
    schema = index_schema(config.duplicates.permutations if signer else 0)
    with pq.ParquetWriter(writer.part("documents.parquet"), schema, compression="zstd") as table:
        for begin in range(0, len(order), GROUP_ROWS):
            rows = order[begin : begin + GROUP_ROWS]
            columns = [_binary(text_ids[rows]), _binary(record_ids[rows])]
            if signer:
                flat = np.concatenate([signatures[row] for row in rows])
                columns.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), config.duplicates.permutations))
            table.write_table(pa.table(columns, schema))
    writer.records(record_ids)
    writer.stats |= {"rows": len(order)}


def _pairs(batch: pl.DataFrame) -> Iterator[tuple[str, str]]:
    return zip(batch.get_column("prompt"), batch.get_column("text"), strict=True)


def _binary(digests: np.ndarray) -> pa.Array:
    offsets = np.arange(0, 32 * (len(digests) + 1), 32, dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digests))]
    return pa.Array.from_buffers(DIGEST, len(digests), buffers)
