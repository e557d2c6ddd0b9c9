import pytest

from assets_data.lineage import Store
from tests.cells_dataset import make_cells_inputs


@pytest.fixture(scope="session")
def cells_store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session")
def cells_inputs(cells_store):
    """The smoke preset's manifest, by the name that recipes have for it."""
    return {"manifest": make_cells_inputs(cells_store)["cells/dataset_manifest"]}
