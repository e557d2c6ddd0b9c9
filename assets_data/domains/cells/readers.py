"""The formats of cells, each opened as an ``Opened``. Imported when a file is read: anndata, h5py and zarr are here.

Of .h5ad, .zarr and .loom the sparse arrays are sliced where they lie; a 10x folder is small text, turned into a
temporary file by one pass over its lines.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.domains.cells.config import FilesConfig
from assets_data.domains.cells.opened import Opened
from assets_data.lineage import DataError


def open_any(path: Path, config: FilesConfig) -> Opened:
    """By its suffix; a folder is zarr or 10x."""
    openers: dict[str, Callable[[Path, FilesConfig], Opened]] = {
        ".h5ad": open_h5ad,
        ".zarr": open_zarr,
        ".loom": open_loom,
        ".h5": open_10x_h5,
    }
    return openers.get(path.suffix, open_10x_folder)(path, config)


def open_h5ad(path: Path, config: FilesConfig) -> Opened:
    """AnnData in HDF5."""
    import h5py

    file = h5py.File(path, "r")
    with _closing_on_error(file.close):
        return _anndata(file, path, config, file.close)


def open_zarr(path: Path, config: FilesConfig) -> Opened:
    """AnnData in zarr."""
    import zarr

    return _anndata(zarr.open_group(str(path), mode="r"), path, config, lambda: None)


def open_loom(path: Path, config: FilesConfig) -> Opened:
    """Loom: genes by cells, dense, in HDF5. Names are in Gene (or Accession) and CellID, as loompy writes them."""
    import h5py

    file: Any = h5py.File(path, "r")
    with _closing_on_error(file.close):
        rows, columns = file["row_attrs"], file["col_attrs"]
        genes = _first(rows, (config.genes,) if config.genes else ("Gene", "Accession"), path)
        matrix = file["layers"][config.layer] if config.layer else file["matrix"]
        return Opened(
            genes=genes,
            cells=_first(columns, ("CellID", "obs_names", "Cell"), path),
            columns=lambda name: columns[name][:].tolist() if name in columns else None,
            stored="dense",
            matrix=matrix,
            by_gene=True,
            close=file.close,
            where=path,
        )


def open_10x_h5(path: Path, config: FilesConfig) -> Opened:
    """10x HDF5 of Cell Ranger 3 and later: a CSC of features by barcodes, which is a CSR of cells."""
    import h5py

    file: Any = h5py.File(path, "r")
    with _closing_on_error(file.close):
        matrix = file["matrix"]
        features = matrix["features"]
        wanted = features[config.genes or "id"][:]
        return Opened(
            genes=[name.decode() for name in wanted],
            cells=[name.decode() for name in matrix["barcodes"][:]],
            columns=lambda name: None,
            stored="csr",
            matrix={name: matrix[name] for name in ("indptr", "indices", "data")},
            close=file.close,
            where=path,
        )


def open_10x_folder(path: Path, config: FilesConfig) -> Opened:
    """10x text: matrix.mtx (features by barcodes), features.tsv or genes.tsv, barcodes.tsv, each perhaps .gz."""
    features = [line.split("\t") for line in _lines(path, ("features.tsv", "genes.tsv"))]
    cells = _lines(path, ("barcodes.tsv",))
    place = 1 if config.genes == "name" else 0
    folder = Path(tempfile.mkdtemp())
    close = lambda: shutil.rmtree(folder, ignore_errors=True)  # noqa: E731
    with _closing_on_error(close):
        matrix = _market(path, len(features), len(cells), folder)
        return Opened(
            genes=[fields[min(place, len(fields) - 1)] for fields in features],
            cells=cells,
            columns=lambda name: None,
            stored="csr",
            matrix=matrix,
            close=close,
            where=path,
        )


def _anndata(group: Any, path: Path, config: FilesConfig, close: Callable[[], Any]) -> Opened:
    from anndata.io import read_elem

    obs: Any = read_elem(group["obs"])
    raw = config.layer == "raw.X"
    var: Any = read_elem(group["raw/var"] if raw else group["var"])
    matrix = _layer(group, config, path)
    names = var.index if not config.genes else _of(var, config.genes, path)
    kind = dict(matrix.attrs).get("encoding-type", "array")
    stored = {"csr_matrix": "csr", "csc_matrix": "csc", "array": "dense"}.get(kind, kind)
    if stored not in ("csr", "csc", "dense"):
        raise DataError("CELL_FORMAT", "no way to read this kind of matrix", found=kind, where=path)
    parts = matrix if stored == "dense" else {name: matrix[name] for name in ("indptr", "indices", "data")}
    return Opened(
        genes=[str(name) for name in names],
        cells=[str(name) for name in obs.index],
        columns=lambda name: obs[name].astype(object).tolist() if name in obs else None,
        stored=stored,
        matrix=parts,
        close=close,
        where=path,
    )


def _layer(group: Any, config: FilesConfig, path: Path) -> Any:
    place = {"": "X", "raw.X": "raw/X"}.get(config.layer, f"layers/{config.layer}")
    if place not in group:
        layers = sorted(group["layers"]) if "layers" in group else []
        found = ["X", *(["raw.X"] if "raw" in group else []), *layers]
        raise DataError("CELL_COLUMN", f"no such layer: {config.layer or 'X'}", expected=f"one of {found}", where=path)
    return group[place]


def _of(var: Any, name: str, path: Path) -> Sequence[str]:
    if name not in var:
        raise DataError("CELL_COLUMN", "var has no such column", expected=list(var.columns)[:9], found=name, where=path)
    return var[name].astype(str).tolist()


def _first(group: Any, names: Sequence[str], path: Path) -> list[str]:
    for name in names:
        if name in group:
            return [value.decode() if isinstance(value, bytes) else str(value) for value in group[name][:]]
    raise DataError("CELL_COLUMN", f"none of {list(names)} is there", found=sorted(group)[:9], where=path)


def _lines(folder: Path, names: Sequence[str]) -> list[str]:
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                with _text(path) as file:
                    return [line.rstrip("\r\n") for line in file if line.strip()]
    raise DataError("CELL_FORMAT", f"the folder lacks {names[0]}", where=folder)


def _market(folder: Path, genes: int, cells: int, temp: Path) -> dict[str, Any]:
    """The entries of a MatrixMarket file sorted by cell. Raises DataError CELL_FORMAT where its header says another."""
    path = next(path for name in ("matrix.mtx", "matrix.mtx.gz") if (path := folder / name).is_file())
    with _text(path) as file:
        header = file.readline().split()
        line = file.readline()
        while line.startswith("%"):
            line = file.readline()
        shape = [int(number) for number in line.split()]
        if header[:3] != ["%%MatrixMarket", "matrix", "coordinate"] or shape[:2] != [genes, cells]:
            what = "matrix, features and barcodes do not belong together"
            raise DataError("CELL_FORMAT", what, expected=[genes, cells], found=shape, where=path)
        entries = np.memmap(temp / "entries", np.float64, "w+", shape=(max(1, shape[2]), 3))
        done = 0
        while done < shape[2]:
            block = np.loadtxt(file, max_rows=min(1 << 18, shape[2] - done), ndmin=2)
            if not len(block):
                raise DataError(
                    "CELL_FORMAT", "fewer entries than announced", expected=shape[2], found=done, where=path
                )
            entries[done : done + len(block)] = block[:, :3]
            done += len(block)
    entries = entries[:done]
    order = np.lexsort((entries[:, 0], entries[:, 1]))
    number = np.bincount(entries[:, 1].astype(np.int64) - 1, minlength=cells) if done else np.zeros(cells, np.int64)
    indptr = np.concatenate([[0], np.cumsum(number)]).astype(np.int64)
    return {"indptr": indptr, "indices": entries[order, 0].astype(np.int64) - 1, "data": entries[order, 2]}


def _text(path: Path) -> Any:
    return gzip.open(path, "rt") if path.suffix == ".gz" else open(path)


@contextlib.contextmanager
def _closing_on_error(close: Callable[[], Any]) -> Any:
    try:
        yield
    except BaseException:
        close()
        raise
