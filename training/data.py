"""The rows that a recipe trains on, as the loop and the lineage queries see them. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class TableRef:
    """A published table that holds training rows. Its ``row_key`` column gives their keys, see ``order.table_keys``.

    ``chunks`` 0: each of its rows is a training row. ``chunks`` n >= 1: each is cut into n training rows.
    """

    snapshot: str
    file: str
    chunks: int = 0


class Rows(Protocol):
    """Rows that ``Recipe.batch`` takes as its data. The loop asks them for their keys and for nothing else.

    What ``batch`` asks of them is between it and ``open_data``: it is handed the very objects that ``open_data`` made,
    the data itself in training and ``data.validation`` in validation, so both must have what it uses.
    """

    @property
    def row_keys(self) -> np.ndarray:
        """uint64[n]: the order's keys, from each row's digest."""
        ...


class Data(Rows, Protocol):
    """Training rows at hand, memory-mapped, plus whatever the recipe's other methods need."""

    @property
    def items_per_row(self) -> float:
        """What one row counts for in throughput (tokens, cells, frames)."""
        ...

    @property
    def members(self) -> Mapping[str, str]:
        """Names and ids of every snapshot that was read besides ``Recipe.inputs``: those that hold the rows, and what
        else decides the result. A tokenizer is a member, as other ids mean other words; so is an encoder's checkpoint.
        They are parents in the receipts and part of the run's fingerprint: a run does not resume under others.
        """
        ...

    @property
    def tables(self) -> Sequence[TableRef]:
        """Where the training rows are stored, in the order of ``row_keys``: the concatenation of the tables' keys."""
        ...

    @property
    def validation(self) -> Rows | None:
        """Held-out rows on which the loop measures the same loss; never trained on."""
        ...


def fixed_members(data: Data) -> dict[str, str]:
    """The snapshots that training reads besides the rows: a tokenizer, an encoder, a state table. Another one of them
    makes another run, whatever the rows are.
    """
    tables = {table.snapshot for table in data.tables}
    return {name: key for name, key in data.members.items() if key not in tables}
