"""Settings of the cells stages: where cells come from, who is held out, what the vocabulary holds; and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assets_data.lineage import ConfigError, option


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedConfig:
    """A made-up tissue with known regulation, in integers only. Every number here changes every cell."""

    datasets: int = option(2, "how many datasets, each a slice")
    cells: int = option(1500, "cells per dataset")
    genes: int = option(400, "genes, regulators included")
    regulators: int = option(40, "genes that move others")
    types: int = option(8, "cell types, from frequent to rare")
    donors: int = option(24, "donors, each with cells in every dataset")
    batches: int = option(4, "batches that donors were processed in")
    edge_share: float = option(0.04, "share of (regulator, target) pairs that are edges")
    knockdown_share: float = option(0.3, "share of cells in which one regulator is knocked down")
    seed: int = option(1, "seed of every draw")

    def __post_init__(self) -> None:
        least = (self.datasets, self.cells, self.types, self.donors, self.batches, self.regulators)
        if min(least) < 1 or self.genes <= self.regulators + 4:
            what = "all numbers are at least 1, with more genes than regulators and four mitochondrial genes"
            raise ConfigError("CELL_SIMULATION", what, found=list(least), where="cells.raw_cells.simulated")
        if not (0 <= self.edge_share <= 1 and 0 <= self.knockdown_share <= 1):
            raise ConfigError("CELL_SIMULATION", "shares lie in [0, 1]", where="cells.raw_cells.simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesConfig:
    """Files or folders of cells: .h5ad, .zarr, .loom, 10x .h5, and 10x folders with matrix.mtx. One is one slice."""

    root: str = option("", "a folder; each file of a known format in it, or 10x folder, is one dataset")
    layer: str = option("", "where the counts are: empty for X, else a layer's name, or raw.X")
    donor: str = option("donor", "column of obs that names the donor; a dataset without it has none")
    batch: str = option("batch", "column of obs that names the batch or well")
    label: str = option("label", "column of obs that names the cell type")
    perturbation: str = option("perturbation", "column of obs that names what was perturbed; empty is a control")
    genes: str = option("", "column of var with the genes' names or ids; empty takes the index")
    total: str = option("", "column of obs with each cell's count over all genes; empty sums what the file holds")
    recover: Literal["", "log1p"] = option("", "log1p: counts back from log1p(scale * count / total), exactly or not")
    scale: float = option(1e4, "what the counts of a cell were scaled to before the logarithm")
    decimals: int = option(3, "decimals that the logarithms were rounded to; 0 for none")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesConfig:
    """What genes are called. Names keep their case."""

    naming: Literal["auto", "ensembl", "symbol"] = option("auto", "auto looks at the names and records what it saw")
    duplicates: Literal["sum", "refuse"] = option("sum", "what genes of one name are, once versions are cut off")
    map: str = option("", "a file of two tab-separated columns, name there and name here; its digest is recorded")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCellsConfig:
    """One source of cells."""

    source: Literal["simulated", "embedded", "files"] = option("embedded", "where the cells come from")
    simulated: SimulatedConfig = option(SimulatedConfig(), "the simulated tissue")
    files: FilesConfig = option(FilesConfig(), "your own files")
    genes: GenesConfig = option(GenesConfig(), "what genes are called")
    chunk: int = option(4096, "cells read at a time; changes no id")

    def __post_init__(self) -> None:
        if not 1 <= self.chunk <= 4096:
            raise ConfigError(
                "CELL_CHUNK", "a chunk is 1 to 4,096 cells", found=self.chunk, where="cells.raw_cells.chunk"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Who is held out: a keyed function of the name of a cell's group, so what arrives later moves nobody."""

    by: Literal["group", "cell"] = option("group", "group is the donor, else the batch, else the dataset; cell leaks")
    validation_share: float = option(0.1, "share of groups in the validation split")
    test_share: float = option(0.1, "share of groups in the test split")
    seed: int = option(0, "seed of the draw; another seed is another split")
    perturbations: float = option(0.0, "share of perturbations whose cells are never trained on")

    def __post_init__(self) -> None:
        held_out = (self.validation_share, self.test_share)
        if min(held_out) < 0 or sum(held_out) >= 1 or not 0 <= self.perturbations < 1:
            what = "shares must not be negative and must leave room for training"
            raise ConfigError("CELL_SPLIT", what, found=[*held_out, self.perturbations], where="cells.split")


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularyConfig:
    """Which genes a model knows, and what it is told about them."""

    min_cells: int = option(3, "training cells that express a gene of the vocabulary, at least")
    most_variable: int = option(0, "keep so many genes of the largest variance over mean; 0 keeps all")
    genes: str = option("", "a file with one gene a line: only these; its digest is recorded")
    quantile_bins: int = option(51, "bins of log1p(1e4 count / total), for tokenizers that ask for them")
    sample_cells: int = option(20_000, "training cells behind medians and bins; of more, a keyed draw")
    retrain: bool = option(False, "learn another one, although one was pinned under these settings")

    def __post_init__(self) -> None:
        if min(self.min_cells, self.sample_cells) < 1 or self.most_variable < 0 or self.quantile_bins < 2:
            what = "min_cells and sample_cells are at least 1, quantile_bins at least 2"
            raise ConfigError("CELL_VOCABULARY", what, where="cells.vocabulary")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsConfig:
    """Everything between raw cells and the rows of a model."""

    split: SplitConfig = option(SplitConfig(), "who is held out")
    vocabulary: VocabularyConfig = option(VocabularyConfig(), "what a model knows of genes")


def _simulated(**changes: int | float) -> RawCellsConfig:
    return RawCellsConfig(source="simulated", simulated=SimulatedConfig(**changes))  # type: ignore[arg-type]


def _smoke_source() -> RawCellsConfig:
    return _simulated(cells=160, genes=96, regulators=12, types=4, donors=16)


def _smoke() -> CellsConfig:
    return CellsConfig(split=SplitConfig(validation_share=0.2, test_share=0.25, seed=3, perturbations=0.3))


def _demo() -> CellsConfig:
    return CellsConfig(split=SplitConfig(validation_share=0.15, test_share=0.25, seed=8))


def _simulated_cells() -> CellsConfig:
    return CellsConfig(split=SplitConfig(validation_share=0.1, test_share=0.3, seed=0, perturbations=0.3))


SOURCES = {
    "smoke": _smoke_source,
    "demo": RawCellsConfig,
    "simulated": lambda: _simulated(cells=3000, donors=40),
}
CELLS = {"smoke": _smoke, "demo": _demo, "simulated": _simulated_cells}
