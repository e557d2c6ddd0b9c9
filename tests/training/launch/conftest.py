"""What the jobs of these tests are asked for."""

import pytest

from assets_data.lineage import Store
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import make_inputs
from training.launch.handle import Request
from training.recipe import discover
from training.stages import make_preflight_report


@pytest.fixture
def request_of(tmp_path):
    """A request for two processes, with the store that it is for."""
    store, recipe = Store(tmp_path / "store"), discover()["walk_lm"]
    inputs = make_inputs(store, train=40)

    def make(**overrides):
        preflight = make_preflight_report(store, recipe, inputs, tiny(**overrides))
        ids = {name: snapshot.id for name, snapshot in inputs.items()}
        asked = {"inputs": ids, "preflight": preflight.id, "requested": {}, "processes": 2}
        return Request(store=str(store.root), recipe=recipe.name, **asked)

    return make
