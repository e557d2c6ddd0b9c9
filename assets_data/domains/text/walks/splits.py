"""Which walks make a split: exactly as many as asked for, the held-out ones distinct and none of them in training.

A walk that may not stay is left out and the next walk of its stream taken instead, so a split depends on seed and
counts alone. Walks are told apart by their 64-bit row key; memory grows with the held-out split only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from assets_data.domains.text.walks.generate import WalkSampler
from assets_data.lineage import DataError, array_key64

MAX_ROUNDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Walks [B, L] that stay, their row keys uint64[B], dead walks drawn again, walks left out as not distinct."""

    walks: np.ndarray
    keys: np.ndarray
    redraws: int
    left_out: int


class HeldoutKeys:
    """The row keys of the held-out split while it is made, and the test training walks have to pass after that."""

    def __init__(self) -> None:
        self.keys = np.zeros(0, np.uint64)

    def admit(self, keys: np.ndarray) -> np.ndarray:
        """Take in new keys; bool[B], true for the first of each key not seen before."""
        new = np.zeros(len(keys), bool)
        new[np.unique(keys, return_index=True)[1]] = True
        new &= self.spare(keys)
        self.keys = np.union1d(self.keys, keys)
        return new

    def spare(self, keys: np.ndarray) -> np.ndarray:
        """bool[B], true for a key that is not a held-out walk's."""
        return ~np.isin(keys, self.keys)


def draw_split(
    sampler: WalkSampler, split: str, count: int, workers: int, keep: Callable[[np.ndarray], np.ndarray]
) -> Iterator[Rows]:
    """Exactly ``count`` walks of the stream named like the split, those whose keys ``keep`` lets through, in order.

    Raises DataError WALK_TOO_FEW_DISTINCT when that takes more than MAX_ROUNDS passes: the graph has too few walks.
    """
    drawn = made = 0
    for _ in range(MAX_ROUNDS):
        missing = count - made
        for batch in sampler.batches(split, drawn, missing, workers):
            keys = array_key64(batch.walks)
            kept = keep(keys)
            made += int(kept.sum())
            yield Rows(batch.walks[kept], keys[kept], batch.redraws, int(len(kept) - kept.sum()))
        drawn += missing
        if made == count:
            return
    raise DataError(
        "WALK_TOO_FEW_DISTINCT",
        f"the graph does not give enough distinct walks for the {split} split",
        expected=count,
        found=made,
        action="use longer walks, a larger graph or fewer held-out walks",
    )
