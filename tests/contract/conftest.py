"""One slice of real text as a dataset: what every recipe's smoke preset must be able to train on."""

from collections.abc import Mapping

import pytest

from assets_data.lineage import Snapshot, Store
from tests.text_dataset import make_text_inputs


@pytest.fixture(scope="session")
def text_store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="session")
def text_inputs(text_store) -> Mapping[str, Snapshot]:
    """Input kind to snapshot: ``{name: text_inputs[given.kind] for name, given in recipe.inputs.items()}``."""
    return make_text_inputs(text_store)


@pytest.fixture(scope="session")
def text_manifest(text_inputs) -> Snapshot:
    return text_inputs["text/dataset_manifest"]
