"""The vocabulary stage: the genes a model knows, learned from training cells only, then pinned.

Promises the same vocabulary for the same slices in any order, and that one which was published once is returned from
then on, whatever slices arrive, until ``retrain`` is asked for. It names no record and has learned from all training
ones: withdrawing one of them makes it again.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.cells.config import CellsConfig, SplitConfig, VocabularyConfig
from assets_data.domains.cells.raw_cells import CELLS, GENES, SOURCE
from assets_data.domains.cells.split import assign_splits
from assets_data.lineage import (
    ConfigError,
    DataError,
    IntegrityError,
    Snapshot,
    SnapshotWriter,
    Store,
    digest_bytes,
    digest_json,
    lease,
    mix64,
    to_dict,
)
from assets_data.lineage.identity.digests import digest_key64
from assets_data.lineage.identity.record_ids import decode_records
from assets_data.lineage.identity.tables import iter_columns

PINS = "pins/cells/vocabulary"
SCALE = 1e4
READ = ["record_id", "group_id", "perturbation", "label", "total", "genes", "counts"]


def make_vocabulary(store: Store, raw_cells: Mapping[str, Snapshot], config: CellsConfig) -> Snapshot:
    """The pinned ``cells/vocabulary`` for these settings; learned from ``raw_cells`` and pinned if there is none yet.

    Holds ``genes.parquet`` (name, key, cells that express it, median of count / total * 1e4 where it is above 0) and
    ``vocabulary.json`` (naming, split, quantile bins, labels with their cells and copies). Raises DataError
    CELL_VOCABULARY where there is nothing to learn from or datasets name genes differently.
    """
    key = digest_json(_settings(config)).removeprefix("sha256:")[:16]
    pin = f"{PINS}/{key}"
    with lease(store.root / "pointers" / f"{pin}.lock"):
        if key in store.names(PINS) and not config.vocabulary.retrain:
            return dataclasses.replace(_pinned(store, pin, raw_cells, config), reused=True)
        snapshot = _learn_stage(store, raw_cells, config)
        store.point(pin, snapshot)
        return snapshot


def _settings(config: CellsConfig) -> dict[str, Any]:
    """Everything that decides a vocabulary but the cells, and not the wish to learn another."""
    chosen = dataclasses.replace(config.vocabulary, retrain=False)
    listed = {"listed": digest_bytes(_list_bytes(chosen))} if chosen.genes else {}
    return {"split": to_dict(config.split), "vocabulary": to_dict(chosen), **listed}


def _pinned(store: Store, pin: str, raw_cells: Mapping[str, Snapshot], config: CellsConfig) -> Snapshot:
    try:
        return store.pointed(pin)
    except IntegrityError:
        _learn_stage(store, raw_cells, config)  # rebuilds the broken copy if these cells are what made it
    try:
        return store.pointed(pin)
    except IntegrityError as error:
        action = "restore it from a copy, or set cells.vocabulary.retrain=true"
        what = f"the pinned vocabulary is broken and these cells do not rebuild it: {error}"
        raise IntegrityError("CELL_VOCABULARY", what, where=pin, action=action) from error


def _learn_stage(store: Store, raw_cells: Mapping[str, Snapshot], config: CellsConfig) -> Snapshot:
    slices = sorted({snapshot.id: snapshot for snapshot in raw_cells.values()}.values(), key=lambda s: s.id)
    settings = _settings(config)
    listed = settings.pop("listed", None)
    return store.run_stage(
        name="cells/vocabulary",
        module=__name__,
        config=settings,
        arguments={"listed": listed} if listed else None,
        parents={"raw_cells": slices},
        build=lambda writer: _build(writer, slices, config),
    )


@dataclasses.dataclass(slots=True)
class Learned:
    """Sums over the training cells, by gene in the order of all names."""

    names: list[str]
    cells: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    labels: Counter[str]
    keys: np.ndarray


def _build(writer: SnapshotWriter, slices: Sequence[Snapshot], config: CellsConfig) -> None:
    naming = {snapshot.read_json(SOURCE)["naming"] for snapshot in slices}
    if len(naming) != 1:
        what = "a vocabulary needs datasets, all of one naming of genes"
        raise DataError(
            "CELL_VOCABULARY", what, found=sorted(naming), action="map names with cells.raw_cells.genes.map"
        )
    learned = _count(slices, config.split)
    chosen = _choose(learned, config.vocabulary)
    gene, value = _sample(slices, learned, config)
    medians = _medians(gene, value, len(learned.names))
    names = [learned.names[place] for place in chosen]
    table = pa.table(
        {
            "name": names,
            "key": _keys(names),
            "cells": learned.cells[chosen],
            "median": medians[chosen].astype(np.float32),
        }
    )
    writer.write_table("genes.parquet", table)
    levels = np.linspace(0, 1, config.vocabulary.quantile_bins + 1)[1:-1]
    edges = np.quantile(np.log1p(value[np.isin(gene, chosen)]), levels, method="lower")
    most = max(learned.labels.values())
    labels = {
        label: {"cells": cells, "copies": max(1, round((most / cells) ** 0.5))}
        for label, cells in sorted(learned.labels.items())
    }
    document = {
        "naming": naming.pop(),
        "split": to_dict(config.split),
        "scale": SCALE,
        "bins": [float(np.float32(edge)) for edge in edges],
        "labels": labels,
    }
    writer.write_json("vocabulary.json", document)
    seen = {"slices": [snapshot.id for snapshot in slices], "split": "train", "cells": len(learned.keys)}
    writer.write_json("trained_on.json", seen, sidecar=True)
    writer.stats |= {"genes": len(names), "cells": len(learned.keys), "labels": len(labels), "slices": len(slices)}


def _training(slices: Sequence[Snapshot], config: SplitConfig) -> Iterator[tuple[Snapshot, pa.Table]]:
    """The training cells, a chunk at a time."""
    for snapshot in slices:
        for batch in iter_columns(snapshot.file(CELLS), READ):
            cells = pa.Table.from_batches([batch])
            yield snapshot, cells.filter(pa.array(assign_splits(cells, config) == "train")).combine_chunks()


def _count(slices: Sequence[Snapshot], config: SplitConfig) -> Learned:
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


def _choose(learned: Learned, config: VocabularyConfig) -> np.ndarray:
    """int64[k], ascending: the genes that are kept."""
    kept = learned.cells >= config.min_cells
    if config.genes:
        kept &= np.isin(learned.names, _list_bytes(config).decode().split())
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


def _sample(slices: Sequence[Snapshot], learned: Learned, config: CellsConfig) -> tuple[np.ndarray, np.ndarray]:
    """``(gene, count / total * 1e4)`` of every expressed gene of up to ``sample_cells`` training cells."""
    drawn, most = np.sort(_draw(learned.keys)), config.vocabulary.sample_cells
    last = drawn[min(most, len(drawn)) - 1]
    place = _places(slices, learned.names)
    found = []
    for snapshot, cells in _training(slices, config.split):
        cells = cells.filter(pa.array(_draw(_row_keys(cells)) <= last)).combine_chunks()
        found.append(_values(cells, place[snapshot.id]))
    return np.concatenate([gene for gene, _ in found]), np.concatenate([value for _, value in found])


def _medians(gene: np.ndarray, value: np.ndarray, genes: int) -> np.ndarray:
    """float64[genes]: the lower median of each gene's values; 1 for a gene without one."""
    order = np.lexsort((value, gene))
    begins = np.searchsorted(gene[order], np.arange(genes + 1))
    number = np.diff(begins)
    medians = np.ones(genes)
    filled = number > 0
    medians[filled] = value[order][begins[:-1][filled] + (number[filled] - 1) // 2]
    return medians


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


def _keys(names: list[str]) -> np.ndarray:
    from assets_data.lineage import text_key64

    return text_key64(names)


def _list_bytes(config: VocabularyConfig) -> bytes:
    try:
        return Path(config.genes).read_bytes()
    except OSError as error:
        what = f"the list of genes cannot be read: {error}"
        raise ConfigError("CELL_VOCABULARY", what, where="cells.vocabulary.genes") from error
