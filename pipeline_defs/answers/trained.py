"""The rows a checkpoint was trained on, from its order record: which at a step, and at which steps a record.

A step is counted as ``metrics.jsonl`` and the checkpoint folders count it: step 1 is the first update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets_data.documents import read_facts
from assets_data.lineage import DataError, Snapshot, Store
from assets_data.lineage.identity.record_ids import record_columns
from assets_data.lineage.queries.remembered import Memory, SortedEpochs
from assets_data.lineage.storage.record_rows import record_rows
from training.order import EACH_ONCE, Order, OrderKind, table_keys, table_values


@dataclass(frozen=True, slots=True)
class TrainedRow:
    """One row of an update: its table, its place there (and which chunk of it), and the records it comes from, by the
    column that names each; none where the table names no records.
    """

    table: Snapshot
    file: str
    row: int
    chunk: int | None
    epoch: int
    records: Mapping[str, str]

    @property
    def record(self) -> str | None:
        """The first of its records."""
        return next(iter(self.records.values()), None)


class TrainedRows:
    """The order of one checkpoint. Raises DataError ORDER_NOT_RECORDED or ORDER_NO_TABLES when there is none."""

    def __init__(self, store: Store, checkpoint: Snapshot) -> None:
        self.record = read_order(checkpoint)
        self._memory = Memory(store.root / "cache")
        self._refs: list[dict[str, Any]] = self.record["tables"]
        self._tables = [store.opened(ref["snapshot"]) for ref in self._refs]
        self._data = [table.table(ref["file"]) for table, ref in zip(self._tables, self._refs, strict=True)]
        pairs = zip(self._data, self._refs, strict=True)
        keys = [table_keys(table["row_key"].to_numpy(), ref["chunks"]) for table, ref in pairs]
        self._begins = np.cumsum([0, *map(len, keys)])
        sort = SortedEpochs(self._memory, self._refs)
        kind = OrderKind(**self.record["kind"]) if "kind" in self.record else EACH_ONCE
        values = self._values(kind.column) if kind.column else None
        self.order = Order(
            self.record["seed"], np.concatenate(keys), self.record["batch_rows"], sort, kind=kind, values=values
        )
        self._named = [record_columns(table.column_names) for table in self._data]

    def _values(self, column: str) -> np.ndarray:
        pairs = zip(self._data, self._refs, strict=True)
        return np.concatenate([table_values(table[column].to_numpy(), ref["chunks"]) for table, ref in pairs])

    @property
    def steps(self) -> int:
        """Updates in all."""
        return self.record["updates"]

    def batch(self, step: int) -> list[TrainedRow]:
        """The rows of a step, in the order they were taken. Raises DataError STEP_UNKNOWN."""
        if not 1 <= step <= self.steps:
            raise DataError("STEP_UNKNOWN", "no such step", expected=f"1 to {self.steps}", found=step)
        rows, epochs = self.order.batch(step - 1)
        return [self._row(int(row), int(epoch)) for row, epoch in zip(rows, epochs, strict=True)]

    def uses(self, record: bytes) -> list[int]:
        """The steps that took a row of this record, ascending, each once."""
        steps = {use + 1 for row in self.rows_of(record) for use in self.order.uses(int(row), self.steps)}
        return sorted(steps)

    def rows_of(self, record: bytes) -> Iterator[int]:
        """The order's rows that come from this record, each once."""
        for number, ref in enumerate(self._refs):
            if self._named[number]:
                begin, width = int(self._begins[number]), ref["chunks"] or 1
                for row in record_rows(self._tables[number], [record]).get(ref["file"], np.empty(0, np.int64)).tolist():
                    yield from range(begin + row * width, begin + (row + 1) * width)

    def holds_records(self) -> bool:
        """Whether any training table names source records."""
        return any(self._named)

    def _row(self, row: int, epoch: int) -> TrainedRow:
        number = int(np.searchsorted(self._begins, row, side="right")) - 1
        ref, inside = self._refs[number], row - int(self._begins[number])
        stored, chunk = divmod(inside, ref["chunks"]) if ref["chunks"] else (inside, None)
        records = {column: _hex(self._data[number][column][stored].as_py()) for column in self._named[number]}
        return TrainedRow(self._tables[number], ref["file"], stored, chunk, epoch, records)


def _hex(record: str | bytes) -> str:
    return record.hex() if isinstance(record, bytes) else record


def read_order(checkpoint: Snapshot) -> dict[str, Any]:
    """The order record of a checkpoint."""
    record = read_facts(checkpoint).get("order") if "training.json" in checkpoint.files else None
    if record is None:
        trained = checkpoint.kind.endswith("/checkpoint")
        action = (
            "train again: it was trained before checkpoints recorded their order" if trained else "name a checkpoint"
        )
        raise DataError("ORDER_NOT_RECORDED", "no order record in this node", found=checkpoint.kind, action=action)
    if not record["tables"]:
        raise DataError("ORDER_NO_TABLES", "its rows were generated, not read from tables", found=checkpoint.id)
    return record
