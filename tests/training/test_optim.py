import pytest
import torch
from torch import nn

from assets_data.lineage import ConfigError
from training.config import OptimizerConfig
from training.optim import build_optimizer, optimizer_class, parameter_groups


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(5, 4), nn.LayerNorm(4)
        self.rms, self.hidden = nn.RMSNorm(4), nn.Linear(4, 4)
        self.tied = nn.Linear(4, 5, bias=False)
        self.tied.weight = self.embedding.weight
        self.positions = nn.Parameter(torch.zeros(3, 4))
        self.frozen = nn.Linear(4, 4, bias=False).requires_grad_(False)


def test_decay_is_decided_by_module_type_and_covers_every_trained_parameter_once():
    model = Model()
    decayed, kept = parameter_groups(model, 0.1)
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in decayed["params"]} == {"hidden.weight", "positions"}
    assert {names[id(p)] for p in kept["params"]} == {
        "embedding.weight", "norm.weight", "norm.bias", "rms.weight", "hidden.bias",
    }  # fmt: skip
    assert decayed["weight_decay"] == 0.1 and kept["weight_decay"] == 0.0


@pytest.mark.parametrize("name", ["AdamW", "adam", "SGD"])
def test_torch_optimizers_are_fused_and_take_their_kwargs(name):
    kwargs = {"momentum": 0.9} if name == "SGD" else {"betas": (0.8, 0.9)}
    optimizer = build_optimizer(Model(), OptimizerConfig(name=name, lr=0.5, kwargs=kwargs))
    assert type(optimizer).__name__.lower() == name.lower()
    for group in optimizer.param_groups:
        assert group["fused"] and group["lr"] == 0.5
        assert all(group[key] == value for key, value in kwargs.items())


def test_a_name_of_the_other_library_builds_that_optimizer():
    assert type(build_optimizer(Model(), OptimizerConfig(name="Lion"))).__name__ == "Lion"


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ConfigError) as caught:
        optimizer_class("adamwu")
    assert caught.value.code == "OPTIMIZER_UNKNOWN"
    assert all(f"'{name}'" in str(caught.value) for name in ("adamw", "sgd", "lion", "shampoo"))


def test_an_argument_the_optimizer_lacks_is_a_config_error():
    with pytest.raises(ConfigError) as caught:
        build_optimizer(Model(), OptimizerConfig(kwargs={"momentum": 0.9}))
    assert caught.value.code == "OPTIMIZER_ARGUMENTS"
