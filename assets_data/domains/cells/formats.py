"""Files of cells: .h5ad and .zarr (anndata), .loom and 10x .h5 (h5py), 10x folders (matrix.mtx, barcodes, features).

Each is read once, in contiguous chunks. A file may be stored by cell, by gene (CSC) or dense, with offsets of 32 or 64
bits, with repeated entries and explicit zeros: it makes no difference to what is read. Files that store by gene are
turned around through one temporary file of the counts, so that memory stays flat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from assets_data.domains.cells.cells import FIELDS, CellSource, Chunk
from assets_data.domains.cells.config import FilesConfig
from assets_data.domains.cells.counts import recover_counts, require_counts
from assets_data.domains.cells.opened import Opened
from assets_data.lineage import DataError, digest_file, digest_json

SUFFIXES = (".h5ad", ".zarr", ".loom", ".h5")
MATRIX = ("matrix.mtx", "matrix.mtx.gz")


def file_names(config: FilesConfig) -> dict[str, Path]:
    """Slice name to path. Raises DataError CELL_NO_FILES, and CELL_FILE_NAME for a name that no slice can have."""
    root = Path(config.root)
    paths = sorted(path for path in root.glob("*") if _is_dataset(path)) if config.root else []
    if config.root and not paths and _is_dataset(root):
        paths = [root]
    if not paths:
        action = "set cells.raw_cells.files.root to a folder of .h5ad, .zarr, .loom, 10x .h5 or 10x folders"
        raise DataError("CELL_NO_FILES", "no files of cells there", where=config.root or "''", action=action)
    names = {(path.stem if path.suffix in SUFFIXES else path.name): path for path in paths}
    if len(names) < len(paths):
        raise DataError("CELL_FILE_NAME", "two datasets would have one name", found=[str(p) for p in paths][:5])
    if odd := [name for name in names if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name)]:
        raise DataError(
            "CELL_FILE_NAME", "a name is a slice's name", expected="letters, digits, _ and -", found=odd[:5]
        )
    return names


def open_file(path: Path, config: FilesConfig) -> CellSource:
    """A dataset. Raises DataError CELL_FORMAT for what cannot be read as one, CELL_COLUMN for a column it lacks."""
    with _opened(path, config) as opened:
        genes, stored = list(opened.genes), opened.stored
    return CellSource(
        genes=genes,
        digest=_digest(path),
        chunks=lambda size: _chunks(path, config, size),
        facts={"origin": path.name, "licence": "", "stored": stored},
    )


def _is_dataset(path: Path) -> bool:
    return path.suffix in SUFFIXES or (path.is_dir() and any((path / name).is_file() for name in MATRIX))


def _opened(path: Path, config: FilesConfig) -> Opened:
    from assets_data.domains.cells import readers

    try:
        return readers.open_any(path, config)
    except DataError:
        raise
    except Exception as error:  # whatever a reader of a foreign format raises: they share no base
        what, action = f"cannot be read as cells: {type(error).__name__}: {error}", "look at the file with its own tool"
        raise DataError("CELL_FORMAT", what, where=path, action=action) from error


def _chunks(path: Path, config: FilesConfig, size: int) -> Iterator[Chunk]:
    with _opened(path, config) as opened:
        stated = _numbers(opened, config.total) if config.total else None
        columns = {name: opened.column(wanted) for name, wanted in _columns(config).items()}
        for begin, indptr, indices, values in opened.rows(size):
            yield _chunk(opened.cells, columns, stated, config, begin, indptr, indices, values, path.name)


def _chunk(
    cells: list[str],
    columns: Mapping[str, list[str]],
    stated: np.ndarray | None,
    config: FilesConfig,
    begin: int,
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    where: str,
) -> Chunk:
    end = begin + len(indptr) - 1
    if config.recover:
        totals = _needed_totals(stated, config)[begin:end]
        filled = values != 0
        counts = np.zeros(len(values), np.int64)
        row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))[filled]
        inside = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(indptr) - 1))])
        counts[filled] = recover_counts(values[filled], inside, totals, config.scale, config.decimals, where)
    else:
        counts = require_counts(values, indptr, where)
    indptr, indices, counts = _canonical(indptr, indices, counts)
    sums = np.bincount(np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), counts, minlength=len(indptr) - 1)
    totals = stated[begin:end] if stated is not None else sums.astype(np.int64)
    if (totals < sums).any():
        place = int(np.flatnonzero(totals < sums)[0])
        what = f"a cell's total in {config.total!r} is below the sum of its counts"
        found = f"{int(totals[place])} of cell {cells[begin + place]}"
        raise DataError("CELL_TOTAL", what, expected=f"at least {int(sums[place])}", found=found, where=where)
    about = {"cell": cells[begin:end], **{name: column[begin:end] for name, column in columns.items()}}
    return Chunk(about=about, indptr=indptr, indices=indices, counts=counts, totals=totals)


def _canonical(
    indptr: np.ndarray, indices: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns ascending and each once (entries of one place are added, as sparse formats mean them), no zeros."""
    row = np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))
    order = np.lexsort((indices, row))
    row, indices, counts = row[order], indices[order].astype(np.int64), counts[order]
    first = np.ones(len(row), bool)
    first[1:] = (row[1:] != row[:-1]) | (indices[1:] != indices[:-1])
    summed = np.add.reduceat(counts, np.flatnonzero(first)) if len(row) else counts
    row, indices = row[first], indices[first]
    kept = summed > 0
    number = np.bincount(row[kept], minlength=len(indptr) - 1)
    return np.concatenate([[0], np.cumsum(number)]).astype(np.int64), indices[kept], summed[kept]


def _columns(config: FilesConfig) -> dict[str, str]:
    return {name: getattr(config, name) for name in FIELDS if name != "cell"}


def _numbers(opened: Opened, name: str) -> np.ndarray:
    values = np.array([float(value or "nan") for value in opened.column(name, needed=True)])
    if not (np.isfinite(values) & (values >= 0)).all() or (values != np.rint(values)).any():
        what = "a column of totals holds whole numbers"
        raise DataError("CELL_COLUMN", what, where=name, found=[str(v) for v in values[:3]])
    return values.astype(np.int64)


def _needed_totals(stated: np.ndarray | None, config: FilesConfig) -> np.ndarray:
    if stated is None:
        what = "counts come back from logarithms only with each cell's total"
        raise DataError("CELL_COLUMN", what, where="cells.raw_cells.files.total", action="name the column of obs")
    return stated


def _digest(path: Path) -> str:
    """Of a file's bytes, or of every file below a folder with its name."""
    if path.is_file():
        return digest_file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return digest_json({str(file.relative_to(path)): digest_file(file) for file in files})
