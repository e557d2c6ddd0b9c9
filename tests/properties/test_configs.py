"""Configs: any valid one survives JSON, and overrides say the same whichever way they are put."""

import dataclasses
import json
import types
import typing

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from assets_data.lineage import ConfigError, canonical_json, from_dict, to_dict, with_overrides
from assets_data.lineage.config import has_field
from pipeline_defs.catalogue import catalogue

TYPES = {type(make()): make for stage in catalogue().stages.values() for make in (stage.presets or {}).values()}


def leaves(config: object, prefix: str = "") -> dict[str, tuple[object, object]]:
    """Dotted field of what this config holds, to (type, value)."""
    found: dict[str, tuple[object, object]] = {}
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        name = f"{prefix}{field.name}"
        found |= leaves(value, f"{name}.") if dataclasses.is_dataclass(value) else {name: (hints[field.name], value)}
    return found


def near(hint: object, value: object) -> st.SearchStrategy:
    """Values of a type, most of them such as a person would put in the place of ``value``."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return st.sampled_from(parts)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if part is type(None) else near(part, None) for part in parts])
    if origin is tuple:
        return st.lists(near(parts[0], None), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(st.text(max_size=4), st.integers(1, 5), max_size=3)
    simple = {
        bool: st.booleans(),
        int: st.integers(0, 3 * value + 10 if isinstance(value, int) else 100),
        float: st.floats(0, 1),
        str: st.sampled_from([value, "", "a", "x.y"]) if isinstance(value, str) else st.text(max_size=4),
    }
    return simple[hint] if hint in simple else st.just(value)


@pytest.mark.parametrize("make", list(TYPES.values()), ids=[cls.__name__ for cls in TYPES])
def test_overriding_nothing_changes_nothing_not_even_a_tuple(make):
    assert with_overrides(make(), {}) == make()


def test_what_is_not_overridden_keeps_its_tuples_beside_what_is():
    recipe = catalogue().recipes["walk_lm"]
    preset = recipe.presets["smoke"]()
    optimizer = dataclasses.replace(preset.train.optimizer, kwargs={"betas": (0.9, 0.98)})
    config = dataclasses.replace(preset, train=dataclasses.replace(preset.train, optimizer=optimizer))
    changed = with_overrides(config, {"train.optimizer.lr": 0.5, "train.seed": 3})
    assert changed.train.optimizer == dataclasses.replace(optimizer, lr=0.5) and changed.train.seed == 3
    assert with_overrides(config, {"train.optimizer.kwargs": {"betas": [0.8, 0.9]}}).train.optimizer.kwargs == {
        "betas": [0.8, 0.9]
    }


@st.composite
def configs(draw, cls: type):
    """A preset, overrides of it, and the valid config that they make."""
    preset = from_dict(cls, to_dict(TYPES[cls]()))  # as a run gets it: what JSON has no word for is gone
    every = leaves(preset)
    chosen = draw(st.lists(st.sampled_from(sorted(every)), max_size=3, unique=True))
    overrides = {name: draw(near(*every[name])) for name in chosen}
    try:
        return preset, overrides, with_overrides(preset, overrides)
    except ConfigError:  # these values contradict each other
        assume(False)


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data())
def test_a_config_survives_json_and_its_overrides_say_the_same_in_any_order(cls, data):
    preset, overrides, config = data.draw(configs(cls))
    assert type(config) is cls and all(has_field(cls, name) for name in overrides)
    assert from_dict(cls, json.loads(canonical_json(to_dict(config)))) == config
    assert with_overrides(config, {}) == config
    assert with_overrides(preset, dict(reversed(overrides.items()))) == config
    assert with_overrides(preset, {name: value for name, (_, value) in leaves(config).items()}) == config
    assert {name for name in leaves(preset) if leaves(config).get(name) != leaves(preset)[name]} <= set(overrides)


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
@settings(max_examples=20, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data())
def test_a_key_that_is_no_field_is_refused_wherever_it_stands(cls, data):
    _, _, config = data.draw(configs(cls))
    sections = {name.rpartition(".")[0] for name in leaves(config)}
    name = ".".join(filter(None, (data.draw(st.sampled_from(sorted(sections))), "no_such_field")))
    with pytest.raises(ConfigError, match="CONFIG_UNKNOWN_KEY"):
        with_overrides(config, {name: 1})
