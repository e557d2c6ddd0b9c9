"""One slice of real text as a dataset: what every recipe's smoke preset must be able to train on."""

from collections.abc import Mapping

import pytest

from assets_data.lineage import Snapshot, Store
from pipeline_defs.contract.trial import Trial
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


@pytest.fixture(scope="session")
def make_inputs(text_store, text_inputs, tmp_path_factory):
    """``make_inputs(recipe) -> (store, inputs by name)``: from the text at hand where that is all it reads, else from
    a run of the smoke presets that makes its inputs, once for each set of kinds.
    """
    made: dict[frozenset[str], tuple[Store, dict[str, Snapshot]]] = {}

    def make(recipe):
        kinds = {name: given.kind for name, given in recipe.inputs.items()}
        if set(kinds.values()) <= set(text_inputs):
            return text_store, {name: text_inputs[kind] for name, kind in kinds.items()}
        key = frozenset(kinds.values())
        if key not in made:
            with Trial(tmp_path_factory.mktemp("inputs")) as trial:
                trial.run(sorted(key), {})
                made[key] = trial.store, {kind: trial.store.pointed(kind) for kind in key}
        store, snapshots = made[key]
        return store, {name: snapshots[kind] for name, kind in kinds.items()}

    return make
