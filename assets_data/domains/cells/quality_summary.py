"""The quality_summary stage: what the datasets hold, per dataset and donor, as two small tables. Judges nothing.

Reads every cell once, by batch; memory is twelve bytes a cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from assets_data.domains.cells.raw_cells import CELLS, GENES, SOURCE
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store
from assets_data.lineage.identity.tables import iter_columns

TOTAL = "*"
MEASURES = ("counts", "genes", "mitochondrial")
"""Per cell: counts over all genes, genes with a count, and mitochondrial counts in every thousand."""
QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95, "max": 1.0}
GROUPS_SCHEMA = pa.schema(
    [("dataset", pa.string()), ("group", pa.string()), ("cells", pa.int64())]
    + [(f"{measure}_{name}", pa.int64()) for measure in MEASURES for name in QUANTILES]
)
HISTOGRAM_SCHEMA = pa.schema(
    [("dataset", pa.string()), ("measure", pa.string())] + [(name, pa.int64()) for name in ("low", "high", "cells")]
)
DATASETS_SCHEMA = pa.schema(
    [("dataset", pa.string())]
    + [(name, pa.int64()) for name in ("read", "empty", "duplicate", "rows", "genes", "mitochondrial_genes")]
)


def make_quality_summary(store: Store, raw_cells: Mapping[str, Snapshot]) -> Snapshot:
    """Publish (or reuse) ``datasets.parquet``, ``groups.parquet`` and ``histograms.parquet``. All is under ``*``.

    Raises DataError QUALITY_EMPTY when there is no dataset.
    """
    slices = {name: raw_cells[name] for name in sorted(raw_cells)}
    return store.run_stage(
        name="cells/quality_summary",
        module=__name__,
        config={},
        arguments={"slices": list(slices)},
        parents={"raw_cells": list(slices.values())},
        build=lambda writer: _build(writer, slices),
    )


def _build(writer: SnapshotWriter, slices: Mapping[str, Snapshot]) -> None:
    if not slices:
        what, action = "a summary needs at least one dataset", "materialise cells/raw_cells first"
        raise DataError("QUALITY_EMPTY", what, action=action)
    measured = {name: _measure(snapshot) for name, snapshot in slices.items()}
    groups = np.concatenate([group for group, _ in measured.values()])
    values = np.concatenate([value for _, value in measured.values()])
    rows = [row for name, (group, value) in measured.items() for row in _groups(name, group, value)]
    rows += _groups(TOTAL, groups, values)
    writer.write_table("groups.parquet", pa.Table.from_pylist(rows, GROUPS_SCHEMA))
    everything = {**{name: value for name, (_, value) in measured.items()}, TOTAL: values}
    bins = [row for name, value in everything.items() for row in _histograms(name, value)]
    writer.write_table("histograms.parquet", pa.Table.from_pylist(bins, HISTOGRAM_SCHEMA))
    facts = [_dataset(name, snapshot, len(measured[name][0])) for name, snapshot in slices.items()]
    writer.write_table("datasets.parquet", pa.Table.from_pylist(facts, DATASETS_SCHEMA))
    writer.stats |= {"slices": len(slices), "cells": len(groups), "groups": len(set(groups.tolist()))}


def _dataset(name: str, snapshot: Snapshot, rows: int) -> dict[str, Any]:
    document, genes = snapshot.read_json(SOURCE), snapshot.table(GENES)
    counted = {what: document[what] for what in ("read", "empty", "duplicate")}
    named = int(np.sum(genes["mitochondrial"].to_numpy()))
    return {"dataset": name, **counted, "rows": rows, "genes": genes.num_rows, "mitochondrial_genes": named}


def _measure(snapshot: Snapshot) -> tuple[np.ndarray, np.ndarray]:
    """``(group of each cell, int32[cells, measures])``."""
    named = snapshot.table(GENES)["mitochondrial"].to_numpy()
    groups, values = [np.empty(0, object)], [np.empty((0, len(MEASURES)), np.int32)]
    for batch in iter_columns(snapshot.file(CELLS), ["group_id", "total", "genes", "counts"]):
        lists, counts = batch.column(2), batch.column(3).flatten().to_numpy()
        number = np.diff(lists.offsets.to_numpy())
        row = np.repeat(np.arange(len(batch)), number)
        inside = named[lists.flatten().to_numpy()]
        mitochondrial = np.bincount(row[inside], counts[inside], minlength=len(batch))
        total = batch.column(1).to_numpy().astype(np.float64)
        share = np.floor(1000 * mitochondrial / np.maximum(total, 1))
        values.append(np.stack([total, number, share], 1).astype(np.int32))
        groups.append(np.array(batch.column(0).to_pylist(), object))
    return np.concatenate(groups), np.concatenate(values)


def _groups(name: str, group: np.ndarray, value: np.ndarray) -> Iterator[dict[str, Any]]:
    names, inverse = np.unique(group.astype("U"), return_inverse=True)
    chosen: Sequence[tuple[str, np.ndarray]] = [(g, value[inverse == place]) for place, g in enumerate(names.tolist())]
    for label, rows in [*chosen, (TOTAL, value)]:
        levels = np.quantile(
            rows if len(rows) else np.zeros((1, len(MEASURES))), list(QUANTILES.values()), axis=0, method="lower"
        )
        yield {
            "dataset": name,
            "group": label,
            "cells": len(rows),
            **{
                f"{measure}_{level}": int(levels[i, j])
                for j, measure in enumerate(MEASURES)
                for i, level in enumerate(QUANTILES)
            },
        }


def _histograms(name: str, value: np.ndarray) -> Iterator[dict[str, Any]]:
    """Cells in ``[low, high)``: powers of the square root of two for counts and genes, steps of 10 for shares."""
    for place, measure in enumerate(MEASURES):
        scaled = measure == "mitochondrial"
        edges = np.arange(0, 1011, 10) if scaled else np.unique(np.round(2 ** (np.arange(0, 49) / 2)).astype(np.int64))
        cells = np.histogram(value[:, place], edges)[0]
        last = int(np.flatnonzero(cells)[-1]) + 1 if cells.any() else 0
        for low, high, number in zip(edges[:last].tolist(), edges[1:].tolist(), cells.tolist(), strict=False):
            yield {"dataset": name, "measure": measure, "low": low, "high": high, "cells": number}
