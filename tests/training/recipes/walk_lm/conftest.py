"""A tiny config and its data, shared read-only by the tests of this recipe."""

import pytest

from assets_data.lineage import Store, with_overrides
from tests.training.walks import make_inputs
from training.recipe import discover
from training.recipes.walk_lm.config import WalkLmConfig

TINY = {
    "model.layers": 2,
    "model.width": 16,
    "model.heads": 2,
    "model.context": 15,
    "train.updates": 8,
    "train.batch_rows": 8,
    "train.schedule.warmup": 2,
    "train.threads": 1,
    "train.device": "cpu",
    "train.checkpoint_every": 4,
    "train.log_every": 2,
    "gate.prompts_per_rule": 12,
    "gate.least_prompts": 10,
    "gate.prompt_tokens": 6,
    "gate.start_prompts": 40,
    "gate.monitor_prompts": 4,
}


def tiny(**overrides) -> WalkLmConfig:
    return with_overrides(WalkLmConfig(), {**TINY, **overrides})


@pytest.fixture(scope="session")
def walk_store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("walks"))


@pytest.fixture(scope="session")
def inputs(walk_store):
    return make_inputs(walk_store)


@pytest.fixture
def recipe():
    return discover()["walk_lm"]


@pytest.fixture
def data(walk_store, inputs, recipe):
    return recipe.open_data(walk_store, inputs, tiny())
