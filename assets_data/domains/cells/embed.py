"""Embedding the cells of a file: read as the domain reads files, and written back as an AnnData with ``obsm``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.domains.cells.cells import FIELDS, CellSource, Chunk
from assets_data.domains.cells.config import RawCellsConfig
from assets_data.domains.cells.formats import open_file
from assets_data.domains.cells.genes import Genes, read_genes
from assets_data.domains.cells.ids import cell_ids
from assets_data.domains.cells.read import NamedCells
from assets_data.lineage import DataError, from_dict

KEY = "X_stemma"
SIZE = 1024


def embed_file(
    source: Path,
    target: Path,
    vectors: Callable[[NamedCells], np.ndarray],
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write ``target`` (.h5ad): the counts, what is said of each cell, and ``obsm["X_stemma"]``; ``facts`` in ``uns``.

    Reads ``SIZE`` cells at a time. Raises DataError EMBED_EXISTS for a target that is there, and what reading raises.
    """
    if target.exists():
        raise DataError("EMBED_EXISTS", "the file is there already", where=target, action="name another")
    config: RawCellsConfig = from_dict(RawCellsConfig, {"source": "files", **settings})
    opened = open_file(source, config.files)
    genes = read_genes(opened.genes, config.genes, str(source))
    chunks, found = [], []
    for chunk in (genes.columns(read) for read in opened.chunks(SIZE)):
        chunks.append(chunk)
        found.append(vectors(named_cells(source.stem, chunk, genes)))
    _write(target, opened, genes, chunks, np.concatenate(found), facts)
    return {"cells": sum(map(len, chunks)), "width": found[0].shape[1], "genes": len(genes.names), "file": str(target)}


def named_cells(dataset: str, chunk: Chunk, genes: Genes) -> NamedCells:
    """A chunk as what a recipe embeds."""
    records, _ = cell_ids(dataset, chunk, genes.keys)
    return NamedCells(
        names=genes.names,
        naming=genes.naming,
        row_keys=np.array([int(record[:16], 16) for record in records], np.uint64),
        totals=chunk.totals,
        indptr=chunk.indptr,
        genes=chunk.indices,
        counts=chunk.counts,
    )


def _write(
    target: Path, source: CellSource, genes: Genes, chunks: list[Chunk], vectors: np.ndarray, facts: Mapping[str, Any]
) -> None:
    import anndata
    import pandas as pd
    import scipy.sparse as sp

    about = {name: [value for chunk in chunks for value in chunk.about[name]] for name in FIELDS}
    index = pd.Index(about.pop("cell"), dtype=object)
    filled = {name: _categories(values) for name, values in about.items() if any(values)}
    begins = np.cumsum([0, *(chunk.indptr[-1] for chunk in chunks)])
    indptr = np.concatenate([[0], *(c.indptr[1:] + b for c, b in zip(chunks, begins, strict=False))])
    values = np.concatenate([chunk.counts for chunk in chunks]).astype(np.float32)
    counts = sp.csr_matrix(
        (values, np.concatenate([chunk.indices for chunk in chunks]), indptr), shape=(len(index), len(genes.names))
    )
    names = pd.Index(list(genes.names), dtype=object)
    data = anndata.AnnData(counts, obs=pd.DataFrame(filled, index=index), var=pd.DataFrame(index=names))
    data.obs["total"] = np.concatenate([chunk.totals for chunk in chunks])
    data.obsm[KEY] = vectors
    data.uns["stemma"] = {name: str(value) for name, value in facts.items()}
    temp = target.with_name(f".{target.name}.part")
    try:
        data.write_h5ad(temp)
        temp.replace(target)
    finally:
        temp.unlink(missing_ok=True)


def _categories(values: list[str]) -> Any:
    """A column of names, as anndata would make it of them; its own way fails with the strings of pandas 3."""
    import pandas as pd

    return pd.Categorical(values, categories=pd.Index(sorted(set(values)), dtype=object))
