"""The smoke preset's simulated cells as a dataset, made by the stages' plain functions: no Dagster, a second or two."""

from assets_data.domains.cells.config import CELLS, SOURCES
from assets_data.domains.cells.manifest import make_dataset_manifest
from assets_data.domains.cells.matrix import make_matrix
from assets_data.domains.cells.raw_cells import make_raw_cells
from assets_data.domains.cells.sources import slice_names
from assets_data.domains.cells.vocabulary import make_vocabulary
from assets_data.lineage import Snapshot, Store


def make_cells(store: Store, source=None, config=None) -> tuple[dict[str, Snapshot], Snapshot, dict[str, Snapshot]]:
    """``(raw cells, vocabulary, matrices)`` of a source config and a cells config, the smoke presets' by default."""
    source, config = source or SOURCES["smoke"](), config or CELLS["smoke"]()
    raw = {name: make_raw_cells(store, name, source) for name in slice_names(source)}
    vocabulary = make_vocabulary(store, raw, config)
    return raw, vocabulary, {name: make_matrix(store, cells, vocabulary, config) for name, cells in raw.items()}


def make_cells_inputs(store: Store, source=None, config=None) -> dict[str, Snapshot]:
    """Kind to snapshot: the manifest."""
    _, vocabulary, matrices = make_cells(store, source, config)
    manifest = make_dataset_manifest(store, matrices, vocabulary)
    return {manifest.kind: manifest}
