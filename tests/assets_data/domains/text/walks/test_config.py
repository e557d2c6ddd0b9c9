from dataclasses import replace

import pytest

from assets_data.domains.text.walks.config import (
    PRESETS,
    DcsbmGraph,
    RulesConfig,
    TransitionsGraph,
    WalkConfig,
    anchor,
    demo,
)
from assets_data.lineage import ConfigError, from_dict, to_dict, with_overrides


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_survive_json(preset):
    assert from_dict(WalkConfig, to_dict(preset())) == preset()


def test_a_window_of_64_gives_the_published_r_set():
    assert anchor().rules.r_values() == (32, 45, 58, 64, 70, 83, 96, 128)


def test_small_windows_give_each_r_once():
    assert RulesConfig(window=1).r_values() == (1, 2)


BASE = WalkConfig(rules=RulesConfig(r=(8, 12, 16, 20, 24, 32, 40, 48), min_visits=0.2, max_visits=2.0), walk_length=160)


@pytest.mark.parametrize(
    ("code", "overrides"),
    [
        ("WALK_CONFIG_BLOCKS", {"graph": {"n": 501, "blocks": 4, "p_in": 0.5, "p_out": 0.1}}),
        ("WALK_CONFIG_BLOCKS", {"graph": {"n": 500, "blocks": 1, "p_in": 0.5, "p_out": 0.1}}),
        ("WALK_CONFIG_BLOCKS", {"graph.blocks": 65}),
        ("WALK_CONFIG_VALUE", {"graph": {"n": 60, "blocks": 4, "p_in": 0.5, "p_out": 0.0}}),
        ("WALK_CONFIG_VALUE", {"graph.min_count": 0}),
        ("WALK_CONFIG_VALUE", {"graph.resolution": 0.0}),
        ("WALK_CONFIG_R", {"rules.window": 20}),
        ("WALK_CONFIG_R", {"rules.r": []}),
        ("WALK_CONFIG_R", {"rules.r": [0, 8]}),
        ("WALK_CONFIG_VALUE", {"rules.jumpers_per_block": 0}),
        ("WALK_CONFIG_VALUE", {"rules.max_chance": 1.0}),
        ("WALK_CONFIG_VALUE", {"rules.min_visits": 3.0}),
        ("WALK_CONFIG_VALUE", {"rules.encounters": 0.0}),
        ("WALK_CONFIG_LENGTH", {"walk_length": 48}),
        ("WALK_CONFIG_LENGTH", {"rules.r": [], "rules.window": 81}),
        ("WALK_CONFIG_CORPUS", {"train_walks": 12_799}),
        ("WALK_CONFIG_CORPUS", {"train_walks": 2**31 + 1}),
        ("WALK_CONFIG_CORPUS", {"heldout_walks": 0}),
        ("WALK_CONFIG_VALUE", {"jumper_starts": 1.1}),
        ("WALK_CONFIG_VALUE", {"horizon": 0}),
        ("WALK_CONFIG_VALUE", {"workers": 0}),
        ("WALK_CONFIG_VALUE", {"seed": -1}),
    ],
)
def test_values_that_contradict_each_other_are_refused(code, overrides):
    with pytest.raises(ConfigError) as error:
        with_overrides(BASE, overrides)
    assert error.value.code == code


@pytest.mark.parametrize("overrides", [{"walk_length": 49}, {"train_walks": 12_800}, {"jumper_starts": 1}, {"seed": 0}])
def test_the_bounds_themselves_are_allowed(overrides):
    with_overrides(BASE, overrides)


def test_all_problems_are_named_at_once():
    with pytest.raises(ConfigError) as error:
        replace(BASE, walk_length=2, workers=0, train_walks=1)
    assert all(name in str(error.value) for name in ("walk_length=2", "workers=0", "train_walks=1"))


def test_either_graph_source_can_be_chosen_by_its_fields():
    chosen = with_overrides(demo(), {"graph": to_dict(DcsbmGraph(n=100))})
    assert chosen.graph == DcsbmGraph(n=100)
    assert with_overrides(chosen, {"graph": to_dict(TransitionsGraph())}).graph == TransitionsGraph()
