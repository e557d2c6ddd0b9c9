"""The raw_cells stage: one dataset as sparse rows of counts, each cell a record of its donor.

Promises that reuse is by content (the source's digest is in the receipt), that every cell read is kept or counted among
those left out, and that no count of a withdrawn cell is in what it publishes. Reads a chunk at a time: memory is one
chunk, and 48 bytes a cell for its ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.domains.cells.cells import FIELDS, CellSource, Chunk
from assets_data.domains.cells.config import RawCellsConfig
from assets_data.domains.cells.genes import MITOCHONDRIAL, Genes, map_digest, read_genes
from assets_data.domains.cells.ids import cell_ids
from assets_data.domains.cells.sources import open_source
from assets_data.lineage import Snapshot, SnapshotWriter, Store, digest_json
from assets_data.lineage.identity.record_ids import among, decode_records
from assets_data.lineage.identity.tables import iter_batches
from assets_data.lineage.storage.tombstones import WITHDRAWN

KIND = "cells/raw_cells"
CELLS, REPEATS, GENES, SOURCE = "cells.parquet", "repeats.parquet", "genes.parquet", "source.json"
NAMES = pa.schema([(name, pa.string()) for name in ("record_id", "content_id", "group_id")])
SCHEMA = pa.schema(
    [
        *NAMES,
        ("dataset", pa.string()),
        *((name, pa.string()) for name in FIELDS),
        ("total", pa.uint64()),  # over all genes of the assay
        ("genes", pa.list_(pa.uint32())),  # places in genes.parquet, ascending
        ("counts", pa.list_(pa.uint32())),
    ]
)


def make_raw_cells(store: Store, slice_name: str, config: RawCellsConfig) -> Snapshot:
    """Publish (or reuse) ``cells.parquet``, the names of ``repeats.parquet``, ``genes.parquet`` and ``source.json``.

    Raises what the source's reader raises, and CELL_GENES_DUPLICATE where genes must not share a name.
    """
    source = open_source(config, slice_name)
    return store.run_stage(
        name=KIND,
        module=__name__,
        config=config,
        arguments={"slice": slice_name, "digest": _digest(source, config)},
        parents={},
        build=lambda writer: _build(writer, slice_name, source, config, store.withdrawn),
    )


def arguments_now(config: RawCellsConfig, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What of a receipt's arguments the source decides, read again."""
    return {"digest": _digest(open_source(config, arguments["slice"]), config)}


def without_records(writer: SnapshotWriter, raw_cells: Snapshot, gone: np.ndarray) -> None:
    """Write a dataset as it is without the records ``gone`` (uint8[n, 32], ascending), as reading it again would."""
    writer.write_table(GENES, raw_cells.table(GENES))
    writer.write_json(SOURCE, raw_cells.read_json(SOURCE))
    output = Output(writer, gone, raw_cells.stats)
    for batch in iter_batches(raw_cells.file(REPEATS)):
        output.repeats(pa.Table.from_batches([batch]))
    for batch in iter_batches(raw_cells.file(CELLS)):
        output.cells(pa.Table.from_batches([batch]))
    output.close(raw_cells.stats)


class Output:
    """The tables of a dataset as they are written, without the records that are ``gone``."""

    def __init__(self, writer: SnapshotWriter, gone: np.ndarray, before: Mapping[str, Any]) -> None:
        self._writer, self._gone = writer, gone
        self._cells = pq.ParquetWriter(writer.part(CELLS), SCHEMA, compression="zstd")
        self._repeats = pq.ParquetWriter(writer.part(REPEATS), NAMES, compression="zstd")
        self._records, self._withdrawn = [np.empty((0, 32), np.uint8)], list[str]()
        self._rows, self._before = 0, int(before.get(WITHDRAWN, 0))

    def cells(self, table: pa.Table) -> None:
        """Further cells."""
        left = self._left(table)
        self._cells.write_table(left)
        self._rows += left.num_rows

    def repeats(self, table: pa.Table) -> None:
        """Further names of cells whose content is there already."""
        self._repeats.write_table(self._left(table))

    def close(self, counts: Mapping[str, Any]) -> None:
        """Read = rows + empty + duplicate + withdrawn, where withdrawn are those that had been rows or repeats."""
        self._cells.close()
        self._repeats.close()
        self._writer.records(np.concatenate(self._records))
        if self._withdrawn:
            self._writer.found[WITHDRAWN] = sorted(self._withdrawn)
        self._writer.stats |= {name: counts[name] for name in ("read", "empty", "duplicate", "barcodes_twice")}
        self._writer.stats |= {"rows": self._rows, WITHDRAWN: self._before + len(self._withdrawn)}

    def _left(self, table: pa.Table) -> pa.Table:
        ids = decode_records(table["record_id"].combine_chunks(), KIND)
        mask = among(ids, self._gone)
        self._records.append(ids[~mask])
        if not mask.any():
            return table
        self._withdrawn += table.filter(pa.array(mask))["record_id"].to_pylist()
        return table.filter(pa.array(~mask))


def _digest(source: CellSource, config: RawCellsConfig) -> str:
    names = map_digest(config.genes)
    return digest_json({"source": source.digest, "map": names}) if names else source.digest


def _build(
    writer: SnapshotWriter, dataset: str, source: CellSource, config: RawCellsConfig, withdrawn: np.ndarray
) -> None:
    genes = read_genes(source.genes, config.genes, dataset)
    counts = {"read": 0, "empty": 0, "duplicate": 0, "barcodes_twice": 0}
    output = Output(writer, withdrawn, {})
    for table, repeated in _tables(dataset, source, genes, config.chunk, counts):
        output.repeats(repeated)
        output.cells(table)
    writer.write_table(GENES, _gene_table(genes))
    document = {
        "naming": genes.naming,
        "columns": len(source.genes),
        "summed": list(genes.duplicates),
        **{name: counts[name] for name in ("read", "empty", "duplicate")},
        **source.facts,
    }
    writer.write_json(SOURCE, document)
    output.close(counts)


def _tables(
    dataset: str, source: CellSource, genes: Genes, size: int, counts: dict[str, int]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """``(cells, names of those that say what an earlier one says)`` of every chunk. Counts what is left out."""
    seen, keys = np.empty(0, "S16"), genes.keys
    barcodes = np.empty(0, np.uint64)
    for read in source.chunks(size):
        chunk = genes.columns(read)
        records, contents = cell_ids(dataset, chunk, keys)
        short = np.array([bytes.fromhex(content[:32]) for content in contents], "S16")
        first = np.zeros(len(chunk), bool)
        first[np.unique(short, return_index=True)[1]] = True
        first &= ~np.isin(short, seen)
        filled = chunk.totals > 0
        counts["read"] += len(chunk)
        counts["empty"] += int((~filled).sum())
        counts["duplicate"] += int((filled & ~first).sum())
        seen = np.union1d(seen, short)
        barcodes = np.concatenate([barcodes, _barcode_keys(chunk)])
        table = _table(dataset, chunk, records, contents)
        yield table.filter(pa.array(filled & first)), table.select(NAMES.names).filter(pa.array(filled & ~first))
    counts["barcodes_twice"] = len(barcodes) - len(np.unique(barcodes))


def _barcode_keys(chunk: Chunk) -> np.ndarray:
    from assets_data.lineage import text_key64

    return text_key64(list(chunk.about["cell"]))


def _table(dataset: str, chunk: Chunk, records: list[str], contents: list[str]) -> pa.Table:
    about = chunk.about
    who = zip(about["donor"], about["batch"], strict=True)
    columns = {
        "record_id": records,
        "content_id": contents,
        "group_id": [donor or batch or dataset for donor, batch in who],
        "dataset": [dataset] * len(chunk),
        **{name: list(about[name]) for name in FIELDS},
        "total": chunk.totals.astype(np.uint64),
        "genes": _lists(chunk.indptr, chunk.indices),
        "counts": _lists(chunk.indptr, chunk.counts),
    }
    return pa.table(columns, SCHEMA)


def _lists(indptr: np.ndarray, values: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(indptr.astype(np.int32)), pa.array(values.astype(np.uint32)))


def _gene_table(genes: Genes) -> pa.Table:
    mitochondrial = [MITOCHONDRIAL.match(name) is not None for name in genes.names]
    return pa.table({"name": list(genes.names), "key": genes.keys, "mitochondrial": mitochondrial})
