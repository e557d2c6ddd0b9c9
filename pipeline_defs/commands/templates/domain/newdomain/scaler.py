"""The scaler stage: mean and deviation of every column over the training records of all slices.

It learns from records and names none, so the declaration says ``learns_from("train")``: withdrawing a training record
discloses the scaler, or makes it again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pyarrow as pa

from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, read_sections
from newdomain.config import SplitConfig, TableConfig
from newdomain.raw_slice import IDS
from newdomain.split import assign_splits


def make_scaler(store: Store, raw_slice: Mapping[str, Snapshot], config: TableConfig) -> Snapshot:
    """Publish (or reuse) ``scaler.json``: column name -> ``{"mean", "deviation"}``.

    Raises DataError NEWDOMAIN_NO_ROWS without a training record, NEWDOMAIN_COLUMNS where slices have other columns.
    """
    slices = {name: raw_slice[name] for name in sorted(raw_slice)}
    return store.run_stage(
        name="newdomain/scaler",
        module=__name__,
        config=read_sections(config, ("split",)),
        arguments={"slices": list(slices)},  # a stage that reads many slices says their names, in the order read
        parents={"raw_slice": list(slices.values())},
        build=lambda writer: _build(writer, slices, config.split),
    )


def _build(writer: SnapshotWriter, slices: Mapping[str, Snapshot], config: SplitConfig) -> None:
    tables = {name: snapshot.table("records.parquet") for name, snapshot in slices.items()}
    filled = {name: table for name, table in tables.items() if table.num_rows}
    if len(found := {tuple(table.column_names) for table in filled.values()}) > 1:
        raise DataError("NEWDOMAIN_COLUMNS", "slices have different columns", found=sorted(found))
    training = [table.filter(pa.array(assign_splits(table, config) == "train")) for table in filled.values()]
    if not sum(table.num_rows for table in training):
        action = "add files, or make the held-out shares smaller"
        raise DataError("NEWDOMAIN_NO_ROWS", "there is no training record", found=list(slices), action=action)
    table = pa.concat_tables(training)
    numbers = [name for name in table.column_names if name not in IDS]
    writer.write_json("scaler.json", {name: _moments(table[name].to_pylist()) for name in numbers})
    writer.stats |= {"rows": table.num_rows, "columns": len(numbers)}


def _moments(values: list[float]) -> dict[str, float]:
    """Exact sums (``math.fsum``), so that neither the order of rows nor how they are sliced moves a bit."""
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return {"mean": mean, "deviation": deviation or 1.0}  # a constant column is all zeros, not a division by zero
