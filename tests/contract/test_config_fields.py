"""Every config field of every recipe: documented, and used or refused. No option is dead."""

import ast
import dataclasses
import typing
from pathlib import Path

import pytest

import training
from assets_data.lineage import ConfigError, from_dict, to_dict, with_overrides
from training.config import TrainConfig, problems
from training.config.problems import AT_LEAST
from training.recipe import discover

ROOM = Path(training.__path__[0])
RECIPES = discover()
DECLARING = ("presets.py", "parts.py", "train.py")
"""Files that only state fields and values; reading a field there is no use of it."""


def fields(cls: type, prefix: str = "") -> dict[str, tuple[type, dataclasses.Field]]:
    """Dotted name to (class, field), through every nested config class and every alternative of a union."""
    found: dict[str, tuple[type, dataclasses.Field]] = {}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        found[f"{prefix}{field.name}"] = (cls, field)
        for kind in (hints[field.name], *typing.get_args(hints[field.name])):
            if dataclasses.is_dataclass(kind):
                found |= fields(kind, f"{prefix}{field.name}.")
    return found


def uses(recipe) -> set[str]:
    """Names read as attributes, or listed as strings to be read, in the code that a recipe's run can reach: its own
    folder, and that of a recipe it derives from.
    """
    names: set[str] = set()
    own = {
        cls.__module__.split(".")[2] for cls in type(recipe).__mro__ if cls.__module__.startswith("training.recipes.")
    }
    for path in ROOM.rglob("*.py"):
        others = path.relative_to(ROOM).parts
        if path.name in DECLARING or (others[0] == "recipes" and others[1] not in own):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                names.add(node.attr)
    return names


@pytest.fixture(params=sorted(RECIPES))
def recipe(request):
    return RECIPES[request.param]


def test_every_field_is_documented_and_read(recipe):
    read = uses(recipe)
    for name, (_, field) in fields(recipe.config_type).items():
        assert len(field.metadata.get("doc", "")) > 3, name
        assert field.name in read, f"{name} is read nowhere"


def test_every_config_class_is_frozen_and_takes_keywords_only(recipe):
    for cls in {cls for cls, _ in fields(recipe.config_type).values()}:
        assert cls.__dataclass_params__.frozen and "__slots__" in vars(cls), cls
        assert all(field.kw_only for field in dataclasses.fields(cls)), cls


def test_every_field_survives_json_and_refuses_another_type(recipe):
    config = recipe.presets["smoke"]()
    assert to_dict(from_dict(recipe.config_type, to_dict(config))) == to_dict(config)
    for name, (_, field) in fields(recipe.config_type).items():
        if dataclasses.is_dataclass(field.default) or ("." in name and name.rsplit(".", 1)[0] not in paths(config)):
            continue
        with pytest.raises(ConfigError, match="CONFIG_BAD_VALUE"):
            with_overrides(config, {name: object})


def paths(config: object, prefix: str = "") -> set[str]:
    """Dotted names of the nested configs a config really has."""
    found = set()
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(value := getattr(config, field.name)):
            found |= {f"{prefix}{field.name}"} | paths(value, f"{prefix}{field.name}.")
    return found


@pytest.mark.parametrize("path", AT_LEAST)
def test_every_bounded_number_below_its_least_is_refused_by_name(path):
    wrong = with_overrides(TrainConfig(), {path: type(get(TrainConfig(), path))(AT_LEAST[path] - 1)})
    assert f"train.{path}" in {where for _, where, _ in problems(wrong)}


def test_numbers_are_bounded_unless_any_value_means_something():
    free = {"seed", "threads", "epochs", "optimizer.lr", "schedule.lr_min_ratio"}  # checked apart, or any value will do
    for name, (_, field) in fields(TrainConfig).items():
        if type(field.default) in (int, float):
            assert name in AT_LEAST or name in free, name


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"optimizer.lr": 0.0}, "TRAIN_CONFIG_RANGE"),
        ({"epochs": 0.0}, "TRAIN_CONFIG_RANGE"),
        ({"schedule.lr_min_ratio": 1.5}, "TRAIN_CONFIG_RANGE"),
        ({"accumulation": 3}, "TRAIN_CONFIG_ACCUMULATION"),
        ({"schedule.warmup": 1000}, "TRAIN_CONFIG_WARMUP"),
        ({"schedule.name": "cosine", "schedule.warmup": 2}, "TRAIN_CONFIG_WARMUP"),
        ({"schedule.kwargs": {"eta_min": 1}}, "TRAIN_CONFIG_SCHEDULE"),
        ({"best.patience": 1}, "TRAIN_CONFIG_PATIENCE"),
        ({"trackers": ["neptune"]}, "TRACKER_UNKNOWN"),
    ],
    ids=str,
)
def test_contradictions_are_refused_and_the_default_has_none(change, code):
    assert list(problems(TrainConfig())) == []
    assert {found for found, _, _ in problems(with_overrides(TrainConfig(), change))} == {code}


def get(config: object, path: str) -> object:
    for name in path.split("."):
        config = getattr(config, name)
    return config
