"""What the run makes of the recipe's model: compiled, or recomputing activations, or neither."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from assets_data.lineage import ConfigError
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback, evaluating
from training.loop import train
from training.recipe import discover


def run(directory, recipe, callbacks=(), **overrides):
    return train(recipe, toy_config(**overrides), toy_data(), directory, code="c", callbacks=callbacks)


def weights(finished):
    return torch.cat([p.detach().flatten() for p in finished.model.parameters()])


class Block(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.recompute, self.calls = inner, False, 0

    def forward(self, x):
        self.calls += 1
        if self.recompute and self.training:
            return checkpoint(self.inner, x, use_reentrant=False)
        return self.inner(x)


class Cooperative(Block):
    def checkpoint_gradients(self):
        self.recompute = True


class Wrapped(ToyRecipe):
    def __init__(self, kind):
        self.kind = kind

    def build_model(self, config, inputs):
        return self.kind(super().build_model(config, inputs))


def test_gradient_checkpointing_changes_no_bit_with_dropout_too(tmp_path):
    plain = run(tmp_path / "a", Wrapped(Cooperative))
    recomputed = run(tmp_path / "b", Wrapped(Cooperative), **{"train.gradient_checkpointing": True})
    assert recomputed.model.recompute and not plain.model.recompute
    assert torch.equal(weights(plain), weights(recomputed))


def test_a_model_that_cannot_recompute_refuses(tmp_path):
    with pytest.raises(ConfigError) as caught:
        run(tmp_path, Wrapped(Block), **{"train.gradient_checkpointing": True})
    assert caught.value.code == "GRADIENT_CHECKPOINTING_UNSUPPORTED"


def test_the_walk_transformer_recomputes_its_blocks_to_the_same_gradients():
    recipe = discover()["walk_lm"]
    torch.manual_seed(0)
    model = recipe.build_model(tiny(), {"vocab_size": 24})
    tokens_BT, gradients = torch.randint(24, (3, 15)), []
    calls: list[int] = []
    model.blocks[0].up.register_forward_hook(lambda *_: calls.append(1))
    for recompute in (False, True):
        if recompute:
            model.checkpoint_gradients()
        calls.clear()
        model.zero_grad()
        model(tokens_BT).square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
        assert len(calls) == 1 + recompute  # once more in the backward pass
    assert torch.equal(*gradients)


def test_measuring_a_compiled_model_runs_it_uncompiled():
    compiled = []
    model = Block(nn.Linear(3, 3))
    model.compile(backend=lambda graph, example: compiled.append(1) or graph.forward)
    model(torch.ones(2, 3))
    seen = len(compiled)
    with evaluating(model):
        model(torch.ones(5, 3))
    assert seen >= 1 and len(compiled) == seen


def test_the_switch_compiles_in_place_and_keeps_parameter_names(tmp_path, monkeypatch):
    """With torch's own compiler replaced by its eager back end: what is compiled is the question, not how well."""
    compiled = []
    compile_module = nn.Module.compile

    def eagerly(module):
        compile_module(module, backend=lambda graph, example: compiled.append(1) or graph.forward)

    monkeypatch.setattr(nn.Module, "compile", eagerly)
    finished = run(tmp_path, Wrapped(Block), **{"train.compile": True})
    assert compiled and set(finished.model.state_dict()) == set(
        Block(ToyRecipe().build_model(toy_config(), {"width": 6})).state_dict()
    )
    plain = run(tmp_path / "plain", Wrapped(Block))
    assert torch.allclose(weights(finished), weights(plain), rtol=1e-5)


@pytest.mark.slow
def test_a_compiled_run_resumes_bit_equal(tmp_path):
    class StopAt(Callback):
        def step_end(self, run):
            if run.update == 7:
                raise KeyboardInterrupt

    switch = {"train.compile": True}
    calm = run(tmp_path / "calm", Wrapped(Block), **switch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Wrapped(Block), callbacks=[StopAt()], **switch)
    assert torch.equal(weights(calm), weights(run(tmp_path / "cut", Wrapped(Block), **switch)))
