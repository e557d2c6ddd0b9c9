"""Changing the optimizer's name alone leaves a preset's kwargs behind."""

from dataclasses import replace

import pytest

from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.checks import config_issues
from training.config import OptimizerConfig
from training.loop import train
from training.optimizer_arguments import inherited_kwargs
from training.recipe import discover


def preset(name, kwargs):
    def make():
        return replace(
            toy_config(), train=replace(toy_config().train, optimizer=OptimizerConfig(name=name, kwargs=kwargs))
        )

    return make


class Recipe(ToyRecipe):
    presets = {"adamw": preset("AdamW", {"betas": (0.9, 0.98)}), "sgd": preset("SGD", {"momentum": 0.9})}

    def check(self, config):
        return iter(())


def issues(name, kwargs, weight_decay=0.0):
    plan = replace(toy_config().train, optimizer=OptimizerConfig(name=name, kwargs=kwargs, weight_decay=weight_decay))
    found = config_issues(Recipe(), replace(toy_config(), train=plan))
    return [(issue.code, issue.severity) for issue in found]


DROPPED, REFUSED = [("OPTIMIZER_KWARGS_DROPPED", "warning")], [("OPTIMIZER_ARGUMENTS", "error")]


@pytest.mark.parametrize("name", ["came", "adan", "adapnm", "alice", "adamod", "adamg", "rmsprop", "sgd", "muon"])
def test_a_preset_s_betas_that_another_optimizer_does_not_take_are_left_out_with_a_warning(name):
    assert issues(name, {"betas": [0.9, 0.98]}) == DROPPED


@pytest.mark.parametrize("name", ["AdamW", "lion"])
def test_another_preset_s_momentum_too(name):
    assert issues(name, {"momentum": 0.9}) == DROPPED


@pytest.mark.parametrize("name", ["adam", "lion", "ranger"])
def test_what_the_other_optimizer_takes_stays(name):
    assert issues(name, {"betas": (0.9, 0.98)}) == []


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("came", {"betas": [0.9, 0.97]}), ("AdamW", {"betas": [0.9]}), ("SGD", {"betas": [0.9, 0.9]})],
    ids=str,
)
def test_what_no_preset_wrote_is_refused(name, kwargs):
    assert issues(name, kwargs) == REFUSED


def test_what_was_written_for_this_very_optimizer_is_not_inherited():
    config = OptimizerConfig(name="adamw", kwargs={"betas": (0.9, 0.98), "momentum": 0.9})
    assert inherited_kwargs(Recipe.presets, config) == {"momentum"}


def test_the_recipes_presets_can_change_to_any_name():
    for recipe in discover().values():
        config = recipe.presets["demo"]()
        plan = replace(config.train, optimizer=replace(config.train.optimizer, name="came"))
        found = [issue for issue in config_issues(recipe, replace(config, train=plan))]
        written = config.train.optimizer.kwargs  # what a preset did not write cannot be left out
        dropped = [("OPTIMIZER_KWARGS_DROPPED", "train.optimizer.kwargs")] if written else []
        assert [(issue.code, issue.path) for issue in found] == dropped
        assert all(name in found[0].message for name in written)


def test_decay_without_effect_is_a_warning():
    assert issues("sm3", {}, weight_decay=0.1) == [("OPTIMIZER_NO_DECAY", "warning")]
    assert issues("sm3", {}) == issues("lion", {}, weight_decay=0.1) == []


def test_the_run_leaves_out_what_the_preflight_said(tmp_path, caplog):
    changes = {"train.optimizer.name": "came", "train.optimizer.kwargs": {"betas": [0.9, 0.98]}}
    run = train(Recipe(), toy_config(**changes, **{"train.updates": 2}), toy_data(), tmp_path, code="c")
    assert run.optimizer.param_groups[0]["betas"] == (0.9, 0.999, 0.9999) and "betas" in caplog.text
