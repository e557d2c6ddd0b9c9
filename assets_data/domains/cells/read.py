"""Reading what the domain published. Recipes import this: numpy, pyarrow and the lineage room only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa

from assets_data.documents import read_manifest
from assets_data.lineage import Snapshot, Store, mix64

SPLITS = ("train", "validation", "test")
NAMES = ("record_id", "group_id", "dataset", "cell", "donor", "batch", "label", "perturbation")


class Layout(TypedDict):
    """What a reader of a matrix must know: the vocabulary behind its places, how it was split, and where it is from."""

    vocabulary: str
    naming: str
    split_by: str
    origin: str
    licence: str
    truth: Any


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The genes that a model knows, in the order of their places, and what they were learned under."""

    names: Sequence[str]
    keys: np.ndarray
    """uint64[G]: what ties are broken by and draws are keyed with."""
    cells: np.ndarray
    """int64[G]: training cells that express the gene."""
    medians: np.ndarray
    """float32[G]: of count / total * scale where it is above 0."""
    document: Mapping[str, Any]
    """naming, split, scale, bins, labels."""

    @cached_property
    def mixed_keys(self) -> np.ndarray:
        """uint64[G]: what, beside a cell's key, a draw about a gene of that cell is keyed with. Mixed once."""
        return mix64(0, "cells/gene", self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ragged:
    """Rows of unequal length over memory-mapped batches: ``genes`` and ``counts`` uint32, in rank order."""

    begins: np.ndarray
    """int64[batches + 1]: the row with which a batch begins."""
    offsets: Sequence[np.ndarray]
    genes: Sequence[np.ndarray]
    counts: Sequence[np.ndarray]

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``(lengths int64[n], genes, counts)``, the rows' values one after the other."""
        which = np.searchsorted(self.begins, rows, side="right") - 1
        local = rows - self.begins[which]
        genes, counts, lengths = [], [], np.empty(len(rows), np.int64)
        for place, (batch, row) in enumerate(zip(which.tolist(), local.tolist(), strict=True)):
            begin, end = self.offsets[batch][row], self.offsets[batch][row + 1]
            genes.append(self.genes[batch][begin:end])
            counts.append(self.counts[batch][begin:end])
            lengths[place] = end - begin
        if not genes:
            return lengths, np.empty(0, np.uint32), np.empty(0, np.uint32)
        return lengths, np.concatenate(genes), np.concatenate(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The cells of one split, dataset after dataset in the manifest's order."""

    row_keys: np.ndarray
    """uint64[N]: the order's keys."""
    totals: np.ndarray
    """int64[N]: counts over all genes of the assay."""
    rows: Ragged
    table: pa.Table
    """Everything else, by column; strings stay in the file until they are asked for."""

    def __len__(self) -> int:
        return len(self.row_keys)

    def names(self, column: str) -> list[str]:
        """One of the columns of names, a string per cell."""
        return self.table[column].to_pylist()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCells:
    """Cells of a file, their genes by name: what a trained model embeds. ``rows`` is what it takes them from."""

    names: Sequence[str]
    naming: str
    row_keys: np.ndarray
    totals: np.ndarray
    indptr: np.ndarray
    genes: np.ndarray
    """int64: places in ``names``."""
    counts: np.ndarray

    @property
    def rows(self) -> Ragged:
        """The cells as one batch of rows, in the file's order."""
        return Ragged(
            begins=np.array([0, len(self.row_keys)]), offsets=[self.indptr], genes=[self.genes], counts=[self.counts]
        )


def open_vocabulary(snapshot: Snapshot) -> Vocabulary:
    """A published vocabulary."""
    table = snapshot.table("genes.parquet")
    return Vocabulary(
        names=table["name"].to_pylist(),
        keys=table["key"].to_numpy(),
        cells=table["cells"].to_numpy().astype(np.int64),
        medians=table["median"].to_numpy(),
        document=snapshot.read_json("vocabulary.json"),
    )


def open_members(store: Store, manifest: Snapshot) -> tuple[Snapshot, dict[str, Snapshot]]:
    """``(vocabulary, matrices by dataset)``, verified."""
    members = read_manifest(manifest)["members"]
    return store.snapshot(members["vocabulary"]), {n: store.snapshot(key) for n, key in members["matrix"].items()}


def open_cells(matrices: Mapping[str, Snapshot], split: str) -> Cells:
    """One split of all datasets, memory-mapped."""
    tables = [snapshot.table(f"{split}.arrow") for snapshot in matrices.values()]
    table = pa.concat_tables(tables)
    batches = table.select(["genes", "counts"]).to_batches()
    return Cells(
        row_keys=table["row_key"].to_numpy(),
        totals=table["total"].to_numpy().astype(np.int64),
        rows=Ragged(
            begins=np.cumsum([0, *(batch.num_rows for batch in batches)]),
            offsets=[_offsets(batch.column(0)) for batch in batches],
            genes=[batch.column(0).flatten().to_numpy() for batch in batches],
            counts=[batch.column(1).flatten().to_numpy() for batch in batches],
        ),
        table=table,
    )


def _offsets(lists: pa.Array) -> np.ndarray:
    offsets = lists.offsets.to_numpy()
    return offsets - offsets[0]
