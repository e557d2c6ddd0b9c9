"""What every recipe promises, whichever it is."""

import ast
import dataclasses
import typing
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


def fields(cls: type) -> dict[str, dataclasses.Field]:
    """Every field of a config class and of the classes it nests."""
    found = {}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        found[field.name] = field
        if dataclasses.is_dataclass(hints[field.name]):
            found |= fields(hints[field.name])
    return found


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


def test_every_config_field_is_documented_and_read_somewhere(recipe):
    sources = [p for p in ROOM.rglob("*.py") if p.name not in ("config.py", "presets.py")]
    trees = [ast.parse(path.read_text()) for path in sources]
    read = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for name, field in fields(recipe.config_type).items():
        assert field.metadata.get("doc"), name
        assert name in read, name


def test_a_fresh_model_is_drawn_from_torchs_generator_alone(recipe):
    import torch

    inputs = {"vocab_size": 40}
    config = recipe.presets["smoke"]()

    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in recipe.build_model(config, inputs).parameters()])

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))
