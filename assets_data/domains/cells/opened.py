"""A file of cells, opened: its genes, its cells and what is said of them, and its rows in chunks.

A format offers columns by name and one of three ways to the values: rows by offset (CSR), columns by offset (CSC), or
dense rows. What is stored by gene is turned around once, through a temporary file, a block of genes at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.lineage import DataError

BLOCK = 1 << 22
"""Values moved at a time when columns are turned into rows: 64 MB."""
Rows = Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]
"""``(first cell, indptr, indices, values)`` of contiguous chunks."""


@dataclass(kw_only=True)
class Opened:
    """A context: it holds the file. ``stored`` is csr, csc or dense; ``matrix`` is made for it, see :meth:`rows`."""

    genes: Sequence[str]
    cells: list[str]
    columns: Callable[[str], Sequence[Any] | None]
    stored: str
    matrix: Any
    """For csr and csc: ``{"indptr", "indices", "data"}`` of arrays that can be sliced; dense: one such array."""
    by_gene: bool = False
    """Of dense ones: a row of the stored array is a gene."""
    close: Callable[[], Any] = lambda: None
    where: Path = field(default_factory=Path)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def column(self, name: str, needed: bool = False) -> list[str]:
        """A string per cell, empty where it is missing; all are where there is no such column and none is needed."""
        values = self.columns(name) if name else None
        if values is None:
            if needed:
                raise DataError("CELL_COLUMN", "the dataset has no such column", found=name, where=self.where)
            return [""] * len(self.cells)
        return [_text(value) for value in values]

    def rows(self, size: int) -> Rows:
        """The values of every cell, ``size`` cells at a time, from the first to the last."""
        if self.stored == "dense":
            yield from self._dense(size)
        elif self.stored == "csr":
            yield from _sparse_rows(self._checked(len(self.cells), len(self.genes)), size)
        else:
            with tempfile.TemporaryDirectory() as folder:
                turned = turn_around(self._checked(len(self.genes), len(self.cells)), len(self.cells), Path(folder))
                yield from _sparse_rows(turned, size)

    def _checked(self, major: int, minor: int) -> Mapping[str, Any]:
        """Offsets and places are in range. Raises DataError CELL_FORMAT."""
        indptr = np.asarray(self.matrix["indptr"][:]).astype(np.int64)
        ends = self.matrix["indices"].shape[0], self.matrix["data"].shape[0]
        if len(indptr) != major + 1 or indptr[0] != 0 or (np.diff(indptr) < 0).any() or {int(indptr[-1])} != set(ends):
            what = "offsets, places and values do not belong together"
            found = {"offsets": len(indptr), "last": int(indptr[-1]), "values": ends[1]}
            raise DataError("CELL_FORMAT", what, expected=f"{major + 1} offsets", found=found, where=self.where)
        return {**self.matrix, "indptr": indptr, "minor": minor, "where": self.where}

    def _dense(self, size: int) -> Rows:
        for begin in range(0, len(self.cells), size):
            end = min(begin + size, len(self.cells))
            block = np.asarray(self.matrix[:, begin:end]).T if self.by_gene else np.asarray(self.matrix[begin:end])
            row, column = np.nonzero(block)  # NaN is not zero, so it is seen and refused
            indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=end - begin))]).astype(np.int64)
            yield begin, indptr, column, block[row, column]


def turn_around(columns: Mapping[str, Any], cells: int, folder: Path) -> dict[str, Any]:
    """Rows by offset from columns by offset: a counting sort into two files, a block of columns at a time."""
    begins = np.asarray(columns["indptr"])
    number = np.zeros(cells, np.int64)
    for low, high in _blocks(begins):
        number += np.bincount(_places(columns, low, high), minlength=cells)
    indptr = np.concatenate([[0], np.cumsum(number)])
    total = max(1, int(indptr[-1]))
    indices = np.memmap(folder / "indices", np.int64, "w+", shape=total)
    data = np.memmap(folder / "data", np.float64, "w+", shape=total)
    filled = indptr[:-1].copy()
    for low, high in _blocks(begins):
        row = _places(columns, low, high)
        gene = np.searchsorted(begins, np.arange(low, high), side="right") - 1
        order = np.argsort(row, kind="stable")
        row = row[order]
        at = filled[row] + np.arange(len(row)) - np.searchsorted(row, row)
        indices[at], data[at] = gene[order], np.asarray(columns["data"][low:high])[order]
        filled += np.bincount(row, minlength=cells)
    return {"indptr": indptr, "indices": indices, "data": data, "minor": len(begins) - 1, "where": columns["where"]}


def _blocks(begins: np.ndarray) -> Iterator[tuple[int, int]]:
    end = int(begins[-1])
    yield from ((low, min(low + BLOCK, end)) for low in range(0, end, BLOCK))


def _places(matrix: Mapping[str, Any], low: int, high: int) -> np.ndarray:
    places = np.asarray(matrix["indices"][low:high]).astype(np.int64)
    if len(places) and (places.min() < 0 or places.max() >= matrix.get("minor", np.inf)):
        what = "an entry lies outside the matrix"
        raise DataError("CELL_FORMAT", what, found=int(places.max()), where=matrix["where"])
    return places


def _sparse_rows(matrix: Mapping[str, Any], size: int) -> Rows:
    indptr = np.asarray(matrix["indptr"])
    for begin in range(0, len(indptr) - 1, size):
        of = indptr[begin : begin + size + 1]
        low, high = int(of[0]), int(of[-1])
        yield begin, of - low, _places(matrix, low, high), np.asarray(matrix["data"][low:high])


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode()
    return "" if str(value) in ("nan", "<NA>", "None") else str(value)
