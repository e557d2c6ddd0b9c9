"""What a vocabulary learns from training cells: sums by gene, the genes that are kept, values of a sample of the cells.

Reads a chunk of cells at a time. A value is count / total * 1e4.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets_data.domains.cells.config import CellsConfig, SplitConfig, VocabularyConfig
from assets_data.domains.cells.raw_cells import CELLS, GENES
from assets_data.domains.cells.split import assign_splits
from assets_data.lineage import ConfigError, DataError, Snapshot, mix64
from assets_data.lineage.identity.digests import digest_key64
from assets_data.lineage.identity.record_ids import decode_records
from assets_data.lineage.identity.tables import iter_columns

SCALE = 1e4
READ = ["record_id", "group_id", "perturbation", "label", "total", "genes", "counts"]


@dataclasses.dataclass(slots=True)
class Learned:
    """Sums over the training cells, by gene in the order of all names."""

    names: list[str]
    cells: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    labels: Counter[str]
    keys: np.ndarray


def count_genes(slices: Sequence[Snapshot], config: SplitConfig) -> Learned:
    """Raises DataError CELL_VOCABULARY where there is no training cell."""
    names = sorted({name for snapshot in slices for name in snapshot.table(GENES)["name"].to_pylist()})
    place = _places(slices, names)
    zeros = [np.zeros(len(names)) for _ in range(3)]
    learned = Learned(names, zeros[0], zeros[1], zeros[2], Counter(), np.empty(0, np.uint64))
    keys = [learned.keys]
    for snapshot, cells in _training(slices, config):
        gene, value = _values(cells, place[snapshot.id])
        learned.cells += np.bincount(gene, minlength=len(names))
        learned.sums += np.bincount(gene, value, minlength=len(names))
        learned.squares += np.bincount(gene, value * value, minlength=len(names))
        learned.labels.update(cells["label"].to_pylist())
        keys.append(_row_keys(cells))
    learned.keys = np.concatenate(keys)
    if not len(learned.keys):
        what, action = "there is no training cell", "add donors, or make the shares of cells.split smaller"
        raise DataError("CELL_VOCABULARY", what, found=0, action=action)
    return learned


def choose_genes(learned: Learned, config: VocabularyConfig) -> np.ndarray:
    """int64[k], ascending: the genes that are kept."""
    kept = learned.cells >= config.min_cells
    if config.genes:
        kept &= np.isin(learned.names, list_bytes(config).decode().split())
    places = np.flatnonzero(kept)
    if config.most_variable and len(places) > config.most_variable:
        mean = learned.sums[places] / len(learned.keys)
        variance = learned.squares[places] / len(learned.keys) - mean**2
        order = np.lexsort((places, -variance / mean))
        places = np.sort(places[order[: config.most_variable]])
    if not len(places):
        what = f"no gene is expressed by {config.min_cells} training cells and on the list"
        raise DataError("CELL_VOCABULARY", what, found=0, action="look at the names in genes.parquet")
    return places


def sample_values(slices: Sequence[Snapshot], learned: Learned, config: CellsConfig) -> tuple[np.ndarray, np.ndarray]:
    """``(gene, count / total * 1e4)`` of every expressed gene of up to ``sample_cells`` training cells."""
    drawn, most = np.sort(_draw(learned.keys)), config.vocabulary.sample_cells
    last = drawn[min(most, len(drawn)) - 1]
    place = _places(slices, learned.names)
    found = []
    for snapshot, cells in _training(slices, config.split):
        cells = cells.filter(pa.array(_draw(_row_keys(cells)) <= last)).combine_chunks()
        found.append(_values(cells, place[snapshot.id]))
    return np.concatenate([gene for gene, _ in found]), np.concatenate([value for _, value in found])


def gene_medians(gene: np.ndarray, value: np.ndarray, genes: int) -> np.ndarray:
    """float64[genes]: the lower median of each gene's values; 1 for a gene without one."""
    order = np.lexsort((value, gene))
    begins = np.searchsorted(gene[order], np.arange(genes + 1))
    number = np.diff(begins)
    medians = np.ones(genes)
    filled = number > 0
    medians[filled] = value[order][begins[:-1][filled] + (number[filled] - 1) // 2]
    return medians


def list_bytes(config: VocabularyConfig) -> bytes:
    """The file of genes that the settings name."""
    try:
        return Path(config.genes).read_bytes()
    except OSError as error:
        what = f"the list of genes cannot be read: {error}"
        raise ConfigError("CELL_VOCABULARY", what, where="cells.vocabulary.genes") from error


def _training(slices: Sequence[Snapshot], config: SplitConfig) -> Iterator[tuple[Snapshot, pa.Table]]:
    """The training cells, a chunk at a time."""
    for snapshot in slices:
        for batch in iter_columns(snapshot.file(CELLS), READ):
            cells = pa.Table.from_batches([batch])
            yield snapshot, cells.filter(pa.array(assign_splits(cells, config) == "train")).combine_chunks()


def _values(cells: pa.Table, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gene (by place among all names) and count / total * 1e4 of every expressed gene of some cells."""
    if not cells.num_rows:
        return np.empty(0, np.int64), np.empty(0)
    genes, counts = (cells[name].combine_chunks() for name in ("genes", "counts"))
    total = np.repeat(cells["total"].to_numpy().astype(np.float64), np.diff(genes.offsets.to_numpy()))
    return place[genes.flatten().to_numpy()], counts.flatten().to_numpy() / total * SCALE


def _places(slices: Sequence[Snapshot], names: Sequence[str]) -> dict[str, np.ndarray]:
    order = {name: place for place, name in enumerate(names)}
    return {s.id: np.array([order[name] for name in s.table(GENES)["name"].to_pylist()], np.int64) for s in slices}


def _row_keys(cells: pa.Table) -> np.ndarray:
    return digest_key64(decode_records(cells["record_id"].combine_chunks(), CELLS))


def _draw(keys: np.ndarray) -> np.ndarray:
    return mix64(0, "cells/vocabulary", keys)
