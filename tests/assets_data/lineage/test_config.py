"""Config: JSON round trip, dotted overrides, and errors that list everything at once."""

from dataclasses import dataclass
from typing import Literal

import pytest

from assets_data.lineage import ConfigError, from_dict, option, resolve, to_dict, with_overrides


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    width: int = option(64, "width")
    rate: float = option(0.1, "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    depth: int = option(2, "depth")
    width: int = option(8, "width")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: Literal["a", "b"] = option("a", "name")
    sizes: tuple[int, ...] = option((1, 2), "sizes")
    limit: int | None = option(None, "limit")
    inner: Inner = option(Inner(), "nested")
    either: Inner | Other = option(Inner(), "one of two")


def test_a_config_survives_json():
    config = Outer(sizes=(3,), limit=4, inner=Inner(rate=1.5))
    assert from_dict(Outer, to_dict(config)) == config


def test_dotted_overrides_reach_nested_fields():
    config = with_overrides(Outer(), {"inner.width": 8, "sizes": [5], "inner.rate": 1})
    assert (config.inner.width, config.inner.rate, config.sizes) == (8, 1.0, (5,))
    assert config.name == "a"


def test_every_problem_is_listed_at_once():
    with pytest.raises(ConfigError) as error:
        from_dict(Outer, {"nmae": 1, "sizes": "x", "inner": {"widht": 3}})
    for part in ("'nmae'", "'widht'", "sizes"):
        assert part in str(error.value)
    assert error.value.code == "CONFIG_UNKNOWN_KEY"


@pytest.mark.parametrize("overrides", [{"limit": "4"}, {"inner.width": 1.5}, {"inner.width": True}, {"name": "c"}])
def test_values_are_not_coerced(overrides):
    with pytest.raises(ConfigError) as error:
        with_overrides(Outer(), overrides)
    assert error.value.code == "CONFIG_BAD_VALUE"


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError) as error:
        resolve({"demo": Outer}, "dmeo", {})
    assert "demo" in str(error.value) and error.value.code == "CONFIG_UNKNOWN_PRESET"


def test_of_several_config_classes_the_one_with_those_fields_is_meant():
    assert with_overrides(Outer(), {"either": {"depth": 3}}).either == Other(depth=3)
    assert from_dict(Outer, to_dict(Outer(either=Other()))).either == Other()
    with pytest.raises(ConfigError) as error:
        with_overrides(Outer(), {"either.widht": 3})
    assert "either.'widht'" in str(error.value)
