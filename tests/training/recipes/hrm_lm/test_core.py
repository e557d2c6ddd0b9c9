"""Slots must not act as one vector: what breaks their symmetry, and the number that shows when nothing does."""

import numpy as np
import pytest
import torch

from tests.training.recipes.hrm_lm.conftest import build, tiny
from training.gate import judge
from training.optim import build_optimizer
from training.recipe import discover
from training.recipes.hrm_lm.core import slot_spread
from training.recipes.hrm_lm.evaluate import core_facts
from training.tokens.evaluate import evaluate

BASELINES = {"unigram": 9.0, "bigram": 9.0}
NUMBERS = np.arange(12)


def zero_initialised(**overrides):
    """The published construction: slots and positions begin at zero."""
    model = build(**overrides)
    for table in ("high_slots", "low_slots", "high_positions", "low_positions"):
        torch.nn.init.zeros_(getattr(model.core, table).weight)
    return model


def train(model, recipe, data, config, updates=12):
    optimizer = build_optimizer(model, config.train.optimizer)
    for step in range(updates):
        batch = recipe.batch(data, config, (np.arange(8) + 8 * step) % len(data), np.zeros(8, np.int64))
        recipe.loss(model, config, batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recipe.after_step(model, config, step)
    return model.eval()


def spread_verdict(model, data, config):
    found = evaluate(discover()["hrm_lm"], model, data, config, NUMBERS, BASELINES).measurements
    judged = judge(found, {"margin": 0.0, "slot_spread": config.gate.slot_spread})
    return next(c["verdict"] for c in judged["criteria"] if c["name"] == "slot_spread")


@pytest.mark.parametrize("gradient", ["one_step", "full"])
def test_zero_initialised_slots_stay_one_vector_however_long_they_train_and_fail_the_gate(recipe, data, gradient):
    config = tiny(**{"model.core.gradient": gradient})
    model = train(zero_initialised(**{"model.core.gradient": gradient}), recipe, data, config)
    assert core_facts(model, data.test, NUMBERS)["slot_spread"] < 1e-5
    assert spread_verdict(model, data, config) == "fail"


@pytest.mark.parametrize("gradient", ["one_step", "full"])
def test_random_slots_stay_apart_and_pass(recipe, data, gradient):
    config = tiny(**{"model.core.gradient": gradient})
    model = train(build(**{"model.core.gradient": gradient}), recipe, data, config)
    facts = core_facts(model, data.test, NUMBERS)
    assert facts["slot_spread"] == min(facts["high_slot_spread"], facts["low_slot_spread"]) > 0.05
    assert spread_verdict(model, data, config) == "pass"


def test_while_the_gate_is_shut_the_spread_is_undetermined(data):
    model = build().eval()
    assert core_facts(model, data.test, NUMBERS) == {}
    assert spread_verdict(model, data, tiny()) == "undetermined"


def test_spread_is_zero_for_one_vector_and_grows_with_the_distance():
    vector = torch.randn(3, 1, 8)
    assert float(slot_spread(vector.expand(3, 5, 8))) < 1e-7
    pair = torch.stack((torch.tensor([3.0, 4.0]), torch.tensor([3.0, -4.0])))[None]
    assert float(slot_spread(pair)) == pytest.approx(0.8)  # from their mean (3, 0) both are 4 away, and 5 long
