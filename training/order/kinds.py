"""The kinds of order: how often each row of an epoch is taken, and before which others.

Each is a pure function of (seed, epoch, row key, the row's own value), so that a kind can be undone: from a row to its
updates. None looks at other rows' values, so taking a row out leaves the others as they stood.

- ``uniform``: each row once, in keyed order.
- ``weighted``: a row of value w is taken w times an epoch on average: floor(w) times, and once more in a share
  w - floor(w) of the epochs. Of value 1 everywhere it is the uniform order, bit for bit.
- ``curriculum``: rows of lower value (a level, a difficulty) first, in keyed order within a level, for ``epochs``
  epochs; uniform from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assets_data.lineage import ConfigError, keyed_order, mix64, uniform01
from assets_data.lineage.identity.order import epoch_stream

UNIFORM, WEIGHTED, CURRICULUM = "uniform", "weighted", "curriculum"
KINDS = (UNIFORM, WEIGHTED, CURRICULUM)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKind:
    """A kind by name; ``column`` is the tables' column that holds the rows' values, ``epochs`` a curriculum's length.

    Raises ConfigError ORDER_KIND for a name that is none, or settings that do not belong to it.
    """

    name: str = UNIFORM
    column: str = ""
    epochs: int = 0

    def __post_init__(self) -> None:
        fits = self.name in KINDS and bool(self.column) == (self.name != UNIFORM)
        if not fits or (self.epochs > 0) != (self.name == CURRICULUM):
            what = "a weighted order names a column; a curriculum a column and how many epochs it lasts"
            raise ConfigError("ORDER_KIND", what, expected=f"one of {KINDS}", found=self.facts())

    def facts(self) -> dict[str, Any]:
        """The JSON form, as recorded."""
        return {"name": self.name, "column": self.column, "epochs": self.epochs}

    def rows(self, seed: int, epoch: int, row_keys: np.ndarray, values: np.ndarray) -> np.ndarray:
        """int64[m]: the rows of one epoch in training order, from uint64[n] keys and float64[n] values."""
        if self.name == WEIGHTED:
            return _weighted(seed, epoch, row_keys, values)
        if self.name == CURRICULUM and epoch < self.epochs:
            return np.lexsort((mix64(seed, epoch_stream(epoch), row_keys), values))
        return keyed_order(seed, epoch, row_keys)


EACH_ONCE = OrderKind()
"""The uniform order."""


def repeats(seed: int, epoch: int, row_keys: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """int64[n]: how often a weighted epoch takes each row."""
    whole = np.floor(weights)
    more = uniform01(seed, f"weight/{epoch}", row_keys) < weights - whole
    return whole.astype(np.int64) + more


def _weighted(seed: int, epoch: int, row_keys: np.ndarray, weights: np.ndarray) -> np.ndarray:
    times = repeats(seed, epoch, row_keys, weights)
    rows = np.repeat(np.arange(len(row_keys)), times)
    copy = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    keys = row_keys[rows]
    again = copy > 0  # the first copy has the row's own key, so weights of 1 give the uniform order
    keys[again] = mix64(0, "copy", keys[again] ^ mix64(0, "copy/number", copy[again].astype(np.uint64)))
    return rows[keyed_order(seed, epoch, keys)]
