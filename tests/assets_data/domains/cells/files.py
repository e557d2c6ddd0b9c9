"""Files of cells as their own libraries write them."""

import gzip
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp

from assets_data.domains.cells.config import FilesConfig, RawCellsConfig
from assets_data.domains.cells.raw_cells import make_raw_cells
from assets_data.lineage import Store

pd.set_option("future.infer_string", False)  # anndata 0.12 writes no strings of pandas 3
GENES = [f"Gene{number}" for number in range(40)]


def obs(cells: int) -> pd.DataFrame:
    index = [f"AAAC{number:04}-1" for number in range(cells)]
    columns = {
        "donor": [f"D{number % 12}" for number in range(cells)],
        "batch": [f"B{number % 3}" for number in range(cells)],
        "label": pd.Categorical([["T cell", "B cell"][number % 2] for number in range(cells)]),
    }
    return pd.DataFrame(columns, index=index)


def adata(values, genes=GENES, cells=None) -> anndata.AnnData:
    about = obs(values.shape[0])
    if cells is not None:
        about.index = cells
    return anndata.AnnData(values, obs=about, var=pd.DataFrame(index=genes))


def write_h5ad(path: Path, values, genes=GENES, cells=None) -> None:
    adata(values, genes, cells).write_h5ad(path)


def write_loom(path: Path, counts: np.ndarray) -> None:
    about = obs(len(counts))
    with h5py.File(path, "w") as file:
        file["matrix"] = counts.T.astype(np.float32)
        file["row_attrs/Gene"] = np.array(GENES, "S")
        file["col_attrs/CellID"] = np.array(about.index, "S")
        for name in about:
            file[f"col_attrs/{name}"] = np.array(about[name].astype(str), "S")


def write_10x_h5(path: Path, counts: np.ndarray) -> None:
    columns = sp.csc_matrix(counts.T)
    with h5py.File(path, "w") as file:
        for name in ("data", "indices", "indptr"):
            file[f"matrix/{name}"] = getattr(columns, name)
        file["matrix/shape"] = columns.shape
        file["matrix/barcodes"] = np.array(obs(len(counts)).index, "S")
        file["matrix/features/id"] = np.array(GENES, "S")
        file["matrix/features/name"] = np.array(GENES, "S")


def write_10x_folder(path: Path, counts: np.ndarray, packed: bool = False) -> None:
    path.mkdir(parents=True)
    scipy.io.mmwrite(path / "matrix.mtx", sp.coo_matrix(counts.T.astype(np.int64)))
    (path / "barcodes.tsv").write_text("".join(f"{cell}\n" for cell in obs(len(counts)).index))
    (path / "features.tsv").write_text("".join(f"{gene}\t{gene}\tGene Expression\n" for gene in GENES))
    for file in list(path.iterdir()) if packed else ():
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()


def raw(folder: Path, name: str, root: Path | None = None, **fields):
    """The raw_cells snapshot of one dataset in a folder."""
    genes = fields.pop("genes_config", None)
    config = RawCellsConfig(source="files", files=FilesConfig(root=str(root or folder), **fields), chunk=17)
    if genes is not None:
        config = RawCellsConfig(source="files", files=config.files, genes=genes, chunk=17)
    return make_raw_cells(Store(folder / "store"), name, config)


def dense_of(snapshot) -> np.ndarray:
    """int64[cells, genes] of what was published."""
    table, genes = snapshot.table("cells.parquet"), snapshot.table("genes.parquet").num_rows
    found = np.zeros((table.num_rows, genes), np.int64)
    for row, (places, counts) in enumerate(zip(table["genes"].to_pylist(), table["counts"].to_pylist(), strict=True)):
        found[row, places] = counts
    return found
