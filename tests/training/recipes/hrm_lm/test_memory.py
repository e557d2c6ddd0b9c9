"""The gate: it opens linearly, remembers how far it is, and while it is shut nothing behind it changes."""

import pytest
import torch

from tests.training.recipes.hrm_lm.conftest import build, tiny
from training.config import OptimizerConfig
from training.optim import build_optimizer


def update(model, recipe, data, config, optimizer, begin=0):
    import numpy as np

    batch = recipe.batch(data, config, np.arange(begin, begin + config.train.batch_rows), np.zeros(8, np.int64))
    recipe.loss(model, config, batch)["loss"].backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def weights(model, prefix):
    return {name: p.detach().clone() for name, p in model.named_parameters() if name.startswith(prefix)}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(
    ("memory", "behind"), [("core", ("core.", "pool", "encoder")), ("core+encoder", ("core.", "pool"))]
)
def test_a_shut_gate_leaves_the_weights_behind_it_as_they_are(recipe, data, memory, behind):
    """No gradient, and no decay either: what is not run must not shrink."""
    config = tiny(**{"model.memory": memory})
    model = build(**{"model.memory": memory})
    optimizer = build_optimizer(model, OptimizerConfig(lr=0.1, weight_decay=0.5))
    before = weights(model, behind)
    update(model, recipe, data, config, optimizer)
    recipe.after_step(model, config, 1)
    assert before and changed(before, weights(model, behind)) == set()
    update(model, recipe, data, config, optimizer)
    assert len(changed(before, weights(model, behind))) > 10


def test_the_scale_rises_linearly_with_updates_and_stays_at_one():
    memory = build(**{"model.gate_warmup_steps": 4}).core_memory
    seen = []
    for _ in range(12):  # two micro-batches of 4 rows make an update of 8
        seen.append(float(memory.scale))
        memory.count(4)
    assert seen == [0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 1.0, 1.0, 1.0]


def test_the_gate_mixes_bridge_and_learned_null():
    memory = build(**{"model.gate_warmup_steps": 4}).core_memory
    z = torch.randn(5, 16)
    for count in (0, 1, 2, 4, 9):
        memory.rows = 0
        memory.count(8 * count)
        vectors, gate = memory(z)
        scale = min(1.0, count / 4)
        g = (scale * torch.sigmoid(memory.gate(z))).clamp(0, 1)
        expected = g[:, None] * memory.bridge(z).view(5, 3, 16) + (1 - g[:, None]) * memory.null.weight
        assert torch.allclose(vectors, expected) and torch.allclose(gate, g.squeeze(1))
        assert memory.shut == (count == 0)
    assert torch.equal(build().core_memory.closed(2)[1], build().core_memory.null.weight)


@pytest.mark.parametrize("overrides", [{"model.gate_bias": 0.2}, {"model.gate_warmup_steps": 0}])
def test_a_gate_that_is_never_shut_runs_the_core_at_once(overrides):
    model = build(**overrides)
    assert model.remember(torch.full((2, 3), 5), torch.ones(2, 3, dtype=torch.bool)).core is not None


def test_how_far_the_gate_is_travels_with_the_weights():
    trained, fresh = build(), build(1)
    trained.count_rows(8 * 3)
    fresh.load_state_dict(trained.state_dict())
    assert fresh.core_memory.rows == 24 and float(fresh.core_memory.scale) == 0.75
    assert all(isinstance(value, torch.Tensor) for value in trained.state_dict().values())


def test_measuring_does_not_open_the_gate(recipe, data):
    import numpy as np

    model, config = build(), tiny()
    batch = recipe.batch(data, config, np.arange(8), np.zeros(8, np.int64))
    recipe.loss(model.eval(), config, batch)
    assert model.core_memory.rows == 0
    recipe.loss(model.train(), config, batch)
    assert model.core_memory.rows == 0, "a pass alone is no update"
    recipe.after_step(model, config, 1)
    assert model.core_memory.rows == config.train.batch_rows
