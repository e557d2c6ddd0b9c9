"""The matrix stage: a dataset's cells over the vocabulary, each cell's genes in rank order, one table per split.

The rank of a gene in a cell is that of float32(count / total * 1e4 / median), highest first, ties by the gene's key: a
constant of the cell and the vocabulary, so it is sorted here once and never in training. Tables are Arrow files of
record batches of up to 4,096 cells with list columns, memory-mapped by whoever reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.cells.config import CellsConfig
from assets_data.domains.cells.raw_cells import CELLS, GENES, SOURCE
from assets_data.domains.cells.read import SPLITS, Vocabulary, open_vocabulary
from assets_data.domains.cells.split import LEFT_OUT, assign_splits
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, read_sections, to_dict
from assets_data.lineage.identity.digests import digest_key64
from assets_data.lineage.identity.record_ids import decode_records
from assets_data.lineage.identity.tables import iter_columns

BATCH = 4096
KNOWN = 0.5
"""Least share of a dataset's counts that the vocabulary must know."""
COPIED = ("record_id", "content_id", "group_id", "dataset", "cell", "donor", "batch", "label", "perturbation", "total")
READ = [*COPIED, "genes", "counts"]
SCHEMA = pa.schema(
    [
        ("row_key", pa.uint64()),  # the first 8 bytes of the record id: decides the row's place in every epoch
        *((name, pa.string()) for name in COPIED[:-1]),
        ("total", pa.uint64()),
        ("outside", pa.uint64()),  # counts of genes that the vocabulary does not know, of those in the file
        ("copies", pa.uint32()),  # how often a balanced epoch takes the cell: by its label
        ("level", pa.uint32()),  # floor(log2(genes)): what a curriculum goes by
        ("genes", pa.list_(pa.uint32())),  # places in the vocabulary, in rank order
        ("counts", pa.list_(pa.uint32())),
    ]
)


def make_matrix(store: Store, raw_cells: Snapshot, vocabulary: Snapshot, config: CellsConfig) -> Snapshot:
    """Publish (or reuse) ``train.arrow``, ``validation.arrow``, ``test.arrow`` and ``layout.json``.

    Raises DataError CELL_VOCABULARY for a vocabulary learned under another split, and CELL_GENES_UNKNOWN where it knows
    less than half of the counts.
    """
    return store.run_stage(
        name="cells/matrix",
        module=__name__,
        config=read_sections(config, ("split",)),
        parents={"raw_cells": raw_cells, "vocabulary": vocabulary},
        build=lambda writer: _build(writer, raw_cells, vocabulary, config),
    )


def _build(writer: SnapshotWriter, raw: Snapshot, learned: Snapshot, config: CellsConfig) -> None:
    vocabulary = open_vocabulary(learned)
    if vocabulary.document["split"] != to_dict(config.split):
        what, action = "the vocabulary was learned under another split", "materialise cells/vocabulary again"
        found = vocabulary.document["split"]
        raise DataError("CELL_VOCABULARY", what, expected=to_dict(config.split), found=found, action=action)
    known = _known_places(raw, vocabulary)
    seen: Counter[str] = Counter()
    writers = {split: _Table(writer, split) for split in SPLITS}
    for batch in iter_columns(raw.file(CELLS), READ):
        cells = pa.Table.from_batches([batch])
        split = assign_splits(cells, config.split)
        table = _rows(cells, known, vocabulary, seen)
        filled = np.array(table["level"].to_numpy() > 0)
        seen.update(left_out=int((split == LEFT_OUT).sum()), empty=int((~filled & (split != LEFT_OUT)).sum()))
        for name, output in writers.items():
            output.write(table.filter(pa.array((split == name) & filled)))
    _require_known(raw, vocabulary, seen)
    for name, output in writers.items():
        writer.splits[name] = output.close()
    writer.records(np.concatenate([output.records() for output in writers.values()]))
    source = raw.read_json(SOURCE)
    layout = {
        "vocabulary": learned.id,
        "naming": source["naming"],
        "split_by": config.split.by,
        "origin": source.get("origin", ""),
        "licence": source.get("licence", ""),
        "truth": source.get("truth"),
    }
    writer.write_json("layout.json", layout)
    rows = sum(writer.splits.values())
    writer.stats |= {"rows": rows, **{name: seen[name] for name in ("left_out", "empty", "counts", "unknown")}}


class _Table:
    """One split's file, written batch by batch."""

    def __init__(self, writer: SnapshotWriter, split: str) -> None:
        self._sink = pa.OSFile(str(writer.part(f"{split}.arrow")), "wb")
        self._file = pa.ipc.new_file(self._sink, SCHEMA)
        self._waiting, self._rows, self._ids = list[pa.Table](), 0, [np.empty((0, 32), np.uint8)]

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._ids.append(decode_records(table["record_id"].combine_chunks(), "record_id"))
        self._rows += table.num_rows
        if sum(waiting.num_rows for waiting in self._waiting) >= BATCH:
            whole = pa.concat_tables(self._waiting)
            self._put(whole.slice(0, BATCH))
            self._waiting = [whole.slice(BATCH)]

    def close(self) -> int:
        rest = pa.concat_tables(self._waiting) if self._waiting else SCHEMA.empty_table()
        self._put(rest)
        self._file.close()
        self._sink.close()
        return self._rows

    def records(self) -> np.ndarray:
        return np.concatenate(self._ids)

    def _put(self, table: pa.Table) -> None:
        if table.num_rows:
            self._file.write_table(table.combine_chunks(), max_chunksize=BATCH)


def _known_places(raw: Snapshot, vocabulary: Vocabulary) -> np.ndarray:
    """int64 per gene of the dataset: its place in the vocabulary, or -1."""
    order = {name: place for place, name in enumerate(vocabulary.names)}
    return np.array([order.get(name, -1) for name in raw.table(GENES)["name"].to_pylist()], np.int64)


def _rows(cells: pa.Table, known: np.ndarray, vocabulary: Vocabulary, seen: Counter[str]) -> pa.Table:
    genes, counts = (cells[name].combine_chunks() for name in ("genes", "counts"))
    lengths = np.diff(genes.offsets.to_numpy())
    row = np.repeat(np.arange(len(cells)), lengths)
    place, count = known[genes.flatten().to_numpy()], counts.flatten().to_numpy()
    inside = place >= 0
    outside = np.bincount(row[~inside], count[~inside], minlength=len(cells)).astype(np.uint64)
    seen.update(counts=int(count.sum()), unknown=int(outside.sum()))
    row, place, count = row[inside], place[inside], count[inside]
    order = rank_order(row, place, count, cells["total"].to_numpy()[row], vocabulary)
    row, place, count = row[order], place[order], count[order]
    number = np.bincount(row, minlength=len(cells))
    offsets = np.concatenate([[0], np.cumsum(number)]).astype(np.int32)
    copies = {label: entry["copies"] for label, entry in vocabulary.document["labels"].items()}
    columns: dict[str, Any] = {
        "row_key": digest_key64(decode_records(cells["record_id"].combine_chunks(), CELLS)),
        **{name: cells[name] for name in COPIED},
        "outside": outside,
        "copies": np.array([copies.get(label, 1) for label in cells["label"].to_pylist()], np.uint32),
        "level": np.where(number > 0, np.log2(np.maximum(number, 1)).astype(np.uint32) + 1, 0).astype(np.uint32),
        "genes": pa.ListArray.from_arrays(pa.array(offsets), pa.array(place.astype(np.uint32))),
        "counts": pa.ListArray.from_arrays(pa.array(offsets), pa.array(count.astype(np.uint32))),
    }
    return pa.table(columns, SCHEMA)


def rank_order(
    row: np.ndarray, place: np.ndarray, count: np.ndarray, total: np.ndarray, vocabulary: Vocabulary
) -> np.ndarray:
    """int64[nnz]: by row, then by float32(count / total * 1e4 / median) from the highest, then by the gene's key."""
    scaled = count / total.astype(np.float64) * vocabulary.document["scale"]
    score = (scaled / vocabulary.medians[place]).astype(np.float32)
    return np.lexsort((vocabulary.keys[place], -score, row))


def _require_known(raw: Snapshot, vocabulary: Vocabulary, seen: Mapping[str, int]) -> None:
    if seen["counts"] and seen["unknown"] > (1 - KNOWN) * seen["counts"]:
        share = 1 - seen["unknown"] / seen["counts"]
        what = f"the vocabulary knows {share:.1%} of this dataset's counts"
        expected = f"at least {KNOWN:.0%}, genes such as {list(vocabulary.names[:3])}"
        found = raw.table(GENES)["name"].to_pylist()[:3]
        action = "map names with cells.raw_cells.genes.map, or learn a vocabulary with cells.vocabulary.retrain=true"
        raise DataError("CELL_GENES_UNKNOWN", what, expected=expected, found=found, where=raw.id, action=action)
