"""Which datasets a source offers, and one of them opened. Readers of file formats are imported when they are used."""

from __future__ import annotations

from assets_data.domains.cells.cells import CellSource
from assets_data.domains.cells.config import RawCellsConfig
from assets_data.lineage import DataError, Store

EMBEDDED = "pbmc68k"


def slice_names(config: RawCellsConfig, store: Store | None = None) -> list[str]:
    """The datasets, by name, that this config offers now."""
    if config.source == "simulated":
        from assets_data.domains.cells.simulated import dataset_names

        return dataset_names(config.simulated)
    if config.source == "embedded":
        return [EMBEDDED]
    from assets_data.domains.cells.formats import file_names

    return list(file_names(config.files))


def standing_slices() -> frozenset[str]:
    """The dataset that is always there."""
    return frozenset({EMBEDDED})


def open_source(config: RawCellsConfig, dataset: str) -> CellSource:
    """A dataset by name. Raises DataError CELL_NO_DATASET when the source does not offer it (any more)."""
    if dataset not in slice_names(config):
        what, action = f"the {config.source} source has no such dataset", "look at cells.raw_cells.source"
        raise DataError("CELL_NO_DATASET", what, expected=slice_names(config)[:9], found=dataset, action=action)
    if config.source == "simulated":
        from assets_data.domains.cells.simulated import open_simulated

        return open_simulated(config.simulated, dataset)
    if config.source == "embedded":
        from assets_data.domains.cells.embedded import open_embedded

        return open_embedded()
    from assets_data.domains.cells.formats import file_names, open_file

    return open_file(file_names(config.files)[dataset], config.files)
