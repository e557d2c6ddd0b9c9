"""What every recipe promises, whichever it is."""

from pathlib import Path

import pytest

from assets_data.lineage import ConfigError, from_dict, to_dict, with_overrides
from training import recipes
from training.recipe import STAGES, discover

FOLDER = Path(recipes.__path__[0])
ROOM = FOLDER.parent
RECIPES = discover()


@pytest.fixture(params=sorted(RECIPES))
def recipe(request):
    return RECIPES[request.param]


def test_every_folder_is_a_recipe_and_there_are_three_stages():
    assert sorted(RECIPES) == sorted(p.parent.name for p in FOLDER.glob("*/__init__.py"))
    assert STAGES == ("preflight_report", "checkpoint", "gate_report")


def test_presets_are_full_configs_without_contradictions_that_survive_json(recipe):
    assert {"smoke", "demo"} <= set(recipe.presets)
    for make in recipe.presets.values():
        config = make()
        assert list(recipe.check(config)) == []
        assert from_dict(recipe.config_type, to_dict(config)) == from_dict(recipe.config_type, to_dict(make()))


def test_an_unknown_field_is_an_error(recipe):
    with pytest.raises(ConfigError) as caught:
        with_overrides(recipe.presets["smoke"](), {"train.learning_rate": 1.0})
    assert caught.value.code == "CONFIG_UNKNOWN_KEY"
