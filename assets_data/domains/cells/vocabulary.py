"""The vocabulary stage: the genes a model knows, learned from training cells only, then pinned.

Promises the same vocabulary for the same slices in any order, and that one which was published once is returned from
then on, whatever slices arrive, until ``retrain`` is asked for. It names no record and has learned from all training
ones: withdrawing one of them makes it again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.cells.config import CellsConfig
from assets_data.domains.cells.learned import (
    SCALE,
    Learned,
    choose_genes,
    count_genes,
    gene_medians,
    list_bytes,
    sample_values,
)
from assets_data.domains.cells.raw_cells import SOURCE
from assets_data.lineage import (
    DataError,
    IntegrityError,
    Snapshot,
    SnapshotWriter,
    Store,
    digest_bytes,
    digest_json,
    lease,
    text_key64,
    to_dict,
)

PINS = "pins/cells/vocabulary"


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
    listed = {"listed": digest_bytes(list_bytes(chosen))} if chosen.genes else {}
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


def _build(writer: SnapshotWriter, slices: Sequence[Snapshot], config: CellsConfig) -> None:
    naming = _one_naming(slices)
    learned = count_genes(slices, config.split)
    chosen = choose_genes(learned, config.vocabulary)
    gene, value = sample_values(slices, learned, config)
    table = _gene_table(learned, chosen, gene_medians(gene, value, len(learned.names)))
    writer.write_table("genes.parquet", table)
    document = {
        "naming": naming,
        "split": to_dict(config.split),
        "scale": SCALE,
        "bins": _edges(value[np.isin(gene, chosen)], config.vocabulary.quantile_bins),
        "labels": _copies(learned.labels),
    }
    writer.write_json("vocabulary.json", document)
    cells = len(learned.keys)
    seen = {"slices": [snapshot.id for snapshot in slices], "split": "train", "cells": cells}
    writer.write_json("trained_on.json", seen, sidecar=True)
    stats = {"genes": len(chosen), "cells": cells, "labels": len(learned.labels), "slices": len(slices)}
    writer.stats |= stats


def _one_naming(slices: Sequence[Snapshot]) -> str:
    naming = {snapshot.read_json(SOURCE)["naming"] for snapshot in slices}
    if len(naming) != 1:
        what = "a vocabulary needs datasets, all of one naming of genes"
        action = "map names with cells.raw_cells.genes.map"
        raise DataError("CELL_VOCABULARY", what, found=sorted(naming), action=action)
    return naming.pop()


def _gene_table(learned: Learned, chosen: np.ndarray, medians: np.ndarray) -> pa.Table:
    names = [learned.names[place] for place in chosen]
    return pa.table(
        {
            "name": names,
            "key": text_key64(names),
            "cells": learned.cells[chosen],
            "median": medians[chosen].astype(np.float32),
        }
    )


def _edges(values: np.ndarray, bins: int) -> list[float]:
    """Between the bins of log1p(value) that hold equally many."""
    levels = np.linspace(0, 1, bins + 1)[1:-1]
    return [float(np.float32(edge)) for edge in np.quantile(np.log1p(values), levels, method="lower")]


def _copies(labels: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Of each label its cells, and how often each is shown: the root of how much rarer it is than the most frequent."""
    most = max(labels.values())
    return {
        label: {"cells": cells, "copies": max(1, round((most / cells) ** 0.5))}
        for label, cells in sorted(labels.items())
    }
