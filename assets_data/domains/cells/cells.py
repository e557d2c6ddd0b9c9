"""What a source of cells gives: genes by name, and cells in chunks. Knows nothing of snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FIELDS = ("cell", "donor", "batch", "label", "perturbation")
"""What is said of a cell besides its counts; the empty string where a source does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some cells in the order of their source, as compressed sparse rows without explicit zeros."""

    about: Mapping[str, Sequence[str]]
    """The FIELDS, a string per cell each."""
    indptr: np.ndarray
    """int64[n + 1]."""
    indices: np.ndarray
    """int64[nnz]: columns, ascending in a cell, each once."""
    counts: np.ndarray
    """int64[nnz], above 0."""
    totals: np.ndarray
    """int64[n]: counts over all genes of the assay, which may be more than the source holds."""

    def __len__(self) -> int:
        return len(self.indptr) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSource:
    """One dataset, opened. ``chunks(n)`` reads it once, from the first cell to the last, ``n`` cells at a time."""

    genes: Sequence[str]
    digest: str
    """Decides what the source gives: of its bytes, or of the settings of a simulation."""
    chunks: Callable[[int], Iterator[Chunk]]
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What is known of the dataset beside its cells, as JSON: licence, origin, the truth of a simulation."""


def sparse_rows(dense: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(indptr, indices, counts)`` of an integer array [n, genes]."""
    row, column = np.nonzero(dense)
    indptr = np.zeros(len(dense) + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=len(dense)), out=indptr[1:])
    return indptr, column.astype(np.int64), dense[row, column].astype(np.int64)
