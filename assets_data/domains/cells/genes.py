"""What genes are called: which naming a dataset has, versions cut off, names mapped, duplicates made one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assets_data.domains.cells.cells import Chunk
from assets_data.domains.cells.config import GenesConfig
from assets_data.lineage import DataError, digest_bytes, text_key64

ENSEMBL = re.compile(r"(ENS[A-Z]*G\d{6,})(\.\d+)?")
"""A stable gene id of Ensembl, ``ENSG00000141510`` or ``ENSMUSG00000059552``, with or without a version."""
MITOCHONDRIAL = re.compile(r"mt-", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Genes:
    """The genes of a dataset: ``names`` are unique, ``place[column]`` says which of them a source's column is."""

    names: Sequence[str]
    place: np.ndarray
    naming: str
    duplicates: Sequence[str]
    """Names that several columns have."""

    @property
    def keys(self) -> np.ndarray:
        """uint64[n]: the first 8 bytes of SHA-256 of each name."""
        return text_key64(list(self.names))

    def columns(self, chunk: Chunk) -> Chunk:
        """The chunk over these genes; counts of columns with one name are summed."""
        if not self.duplicates:
            return Chunk(
                about=chunk.about,
                indptr=chunk.indptr,
                indices=self.place[chunk.indices],
                counts=chunk.counts,
                totals=chunk.totals,
            )
        row = np.repeat(np.arange(len(chunk)), np.diff(chunk.indptr))
        at, inverse = np.unique(row * len(self.names) + self.place[chunk.indices], return_inverse=True)
        counts = np.zeros(len(at), np.int64)
        np.add.at(counts, inverse, chunk.counts)
        indptr = np.searchsorted(at, np.arange(len(chunk) + 1) * len(self.names))
        return Chunk(about=chunk.about, indptr=indptr, indices=at % len(self.names), counts=counts, totals=chunk.totals)


def read_genes(names: Sequence[str], config: GenesConfig, where: str) -> Genes:
    """Raises DataError CELL_GENES_DUPLICATE where duplicates are refused, and CELL_GENES_NAME for a nameless one."""
    naming = _naming(names) if config.naming == "auto" else config.naming
    renamed = _mapped([_unversioned(name) if naming == "ensembl" else name for name in names], config)
    if "" in renamed:
        raise DataError("CELL_GENES_NAME", "a gene has no name", found=f"column {renamed.index('')}", where=where)
    duplicates = sorted(name for name, times in Counter(renamed).items() if times > 1)
    if duplicates and config.duplicates == "refuse":
        what, action = f"{len(duplicates)} genes have several columns", "set cells.raw_cells.genes.duplicates=sum"
        raise DataError("CELL_GENES_DUPLICATE", what, found=duplicates[:5], where=where, action=action)
    unique = list(dict.fromkeys(renamed))
    order = {name: place for place, name in enumerate(unique)}
    place = np.array([order[name] for name in renamed], np.int64)
    return Genes(names=unique, place=place, naming=naming, duplicates=duplicates)


def map_digest(config: GenesConfig) -> str:
    """The digest of the file that maps names; empty without one."""
    return digest_bytes(_map_bytes(config)) if config.map else ""


def _naming(names: Sequence[str]) -> str:
    """Ensembl where more than half of the names are its ids."""
    found = sum(ENSEMBL.fullmatch(name) is not None for name in names)
    return "ensembl" if 2 * found > len(names) else "symbol"


def _unversioned(name: str) -> str:
    """``ENSG00000141510.18`` is ``ENSG00000141510``; ``AC012345.6``, a symbol with a dot, stays as it is."""
    match = ENSEMBL.fullmatch(name)
    return match[1] if match else name


def _mapped(names: list[str], config: GenesConfig) -> list[str]:
    if not config.map:
        return names
    lines = [line.split("\t") for line in _map_bytes(config).decode().splitlines() if line.strip()]
    if odd := [line for line in lines if len(line) != 2 or not all(line)]:
        raise DataError("CELL_GENES_MAP", "a line is two names with a tab between", found=odd[:3], where=config.map)
    known = dict(lines)
    return [known.get(name, name) for name in names]


def _map_bytes(config: GenesConfig) -> bytes:
    try:
        return Path(config.map).read_bytes()
    except OSError as error:
        raise DataError("CELL_GENES_MAP", f"the map of names cannot be read: {error}", where=config.map) from error
