"""One slice of real text as a dataset: what every recipe's smoke preset must be able to train on."""

import pytest

from assets_data.lineage import Store
from tests.text_dataset import make_text_manifest


@pytest.fixture(scope="session")
def text_store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="session")
def text_manifest(text_store):
    return make_text_manifest(text_store)
