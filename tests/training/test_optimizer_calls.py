import pytest
import torch
from torch import nn

from assets_data.lineage import TrainingError
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.config import OptimizerConfig
from training.loop import train
from training.optim import build_optimizer
from training.optimizer_calls import OptimizerCalls, evaluation_weights


def stepped(name, loss, lr=0.1, steps=2):
    torch.manual_seed(0)
    model = nn.Linear(3, 3)
    calls = OptimizerCalls(build_optimizer(model, OptimizerConfig(name=name, lr=lr, weight_decay=0.0)), name)
    for _ in range(steps):
        model(torch.ones(2, 3)).square().sum().backward()
        calls.set_rate(lr)
        calls.step(torch.tensor(loss))
        calls.optimizer.zero_grad()
    return model.weight.detach().clone()


def test_the_loss_is_given_to_those_that_read_it():
    """AliG steps by loss over the gradient's squared norm, below the run's rate."""
    assert not torch.equal(stepped("alig", 0.01), stepped("alig", 0.02))
    assert torch.equal(stepped("alig", 1e9), stepped("alig", 2e9))


@pytest.mark.parametrize("name", ["asgd", "ftrl", "gravity"])
def test_at_rate_zero_nothing_moves_although_the_formula_divides_by_it(name):
    assert torch.equal(stepped(name, 1.0, lr=1e-30, steps=0), stepped_at_zero(name))


def stepped_at_zero(name):
    torch.manual_seed(0)
    model = nn.Linear(3, 3)
    calls = OptimizerCalls(build_optimizer(model, OptimizerConfig(name=name)), name)
    model(torch.ones(2, 3)).square().sum().backward()
    calls.set_rate(0.0)
    calls.step(torch.tensor(1.0))
    return model.weight.detach().clone()


def test_what_a_library_s_step_raises_has_a_code():
    model = nn.Linear(3, 3)
    calls = OptimizerCalls(build_optimizer(model, OptimizerConfig(name="lion")), "lion")
    model(torch.ones(2, 3)).sum().backward()
    calls.optimizer.param_groups[0]["betas"] = (0.9,)
    with pytest.raises(TrainingError, match="lion failed on this model: ValueError") as caught:
        calls.step(torch.tensor(1.0))
    assert caught.value.code == "OPTIMIZER_STEP"


@pytest.mark.parametrize("name", ["schedulefreeadamw", "splus"])
def test_a_parameter_that_never_had_a_gradient_is_evaluated_as_it_is(name):
    model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    calls = OptimizerCalls(build_optimizer(model, OptimizerConfig(name=name, lr=0.1)), name)
    for _ in range(3):
        model[0](torch.ones(2, 3)).square().sum().backward()
        calls.step(torch.tensor(1.0))
        calls.optimizer.zero_grad()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with evaluation_weights(calls.optimizer):
        inside = {name: p.detach().clone() for name, p in model.named_parameters()}
    assert not torch.equal(inside["0.weight"], before["0.weight"])
    assert torch.equal(inside["1.weight"], before["1.weight"])
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_an_error_while_measuring_puts_the_weights_back():
    model = nn.Linear(3, 3)
    calls = OptimizerCalls(build_optimizer(model, OptimizerConfig(name="schedulefreesgd", lr=0.1)), "schedulefreesgd")
    for _ in range(3):
        model(torch.ones(2, 3)).square().sum().backward()
        calls.step(torch.tensor(1.0))
    before = model.weight.detach().clone()
    with pytest.raises(KeyError), evaluation_weights(calls.optimizer):
        raise KeyError
    assert torch.equal(model.weight, before) and all(g["train_mode"] for g in calls.optimizer.param_groups)


def test_second_derivatives_go_through_attention(tmp_path):
    class Attending(ToyRecipe):
        def loss(self, model, config, batch):
            x = model(batch["x"])[None, None]
            mixed = nn.functional.scaled_dot_product_attention(x, x, x)
            return {"loss": (mixed - batch["x"]).square().mean()}

    changes = {"train.optimizer.name": "adahessian", "train.updates": 3, "train.accumulation": 2}
    run = train(Attending(), toy_config(**changes), toy_data(), tmp_path, code="c")
    assert all((state["exp_hessian_diag_sq"] > 0).any() for state in run.optimizer.state.values())
