"""Both models: their sizes, exact resume, what their losses may and may not reach, and targets that are known."""

import dataclasses

import numpy as np
import pytest
import torch

from assets_data.lineage import with_overrides
from tests.training.recipes.world_model.conftest import RECIPE
from training.checkpoint import read_state, stored
from training.loop import train
from training.recipes.world_model.config import RssmConfig, TdmpcConfig
from training.recipes.world_model.layers import from_two_hot, symexp, symlog, two_hot
from training.recipes.world_model.rssm import Rssm, straight_through
from training.recipes.world_model.tdmpc import Tdmpc, discount_of


def inputs(obs=3, dtype="float32", shape=None, discrete=0):
    shape = shape or [obs]
    size = int(np.prod(shape))
    action = {"kind": "box", "dtype": "float32", "shape": [1], "low": [-2.0], "high": [2.0]}
    if discrete:
        action = {"kind": "discrete", "n": discrete, "start": 0, "dtype": "int64", "shape": []}
    moments = {"mean": [0.0] * size, "deviation": [1.0] * size} if size <= 1024 else None
    return {
        "obs_space": {"dtype": dtype, "shape": shape},
        "action_space": action,
        "moments": {"obs": moments, "reward": {"mean": 0.0, "deviation": 1.0}, "mean_length": 200.0},
    }


def size(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(("obs", "counted"), [(2, 300_292), (3, 300_549)])
def test_the_demo_model_has_the_parameters_it_is_said_to_have(obs, counted):
    assert size(Rssm(RssmConfig(), inputs(obs))) == counted


@pytest.mark.parametrize("preset", sorted(RECIPE.presets))
def test_a_presets_size_is_what_the_page_says(preset):
    """``docs/how-to/world-model.md`` lists them; counted without memory."""
    sizes = {"smoke": 45_909, "demo": 300_292, "demo_full": 300_549, "demo_tdmpc": 333_796, "gpu": 7_118_867}
    config = RECIPE.presets[preset]()
    seen = {"demo": inputs(2), "gpu": {**inputs(17), "action_space": inputs(17)["action_space"] | {"shape": [6]}}}
    if preset == "gpu":
        seen["gpu"]["action_space"] |= {"low": [-1.0] * 6, "high": [1.0] * 6}
    with torch.device("meta"):
        assert size(RECIPE.build_model(config, seen.get(preset, inputs(3)))) == sizes[preset]


def test_a_run_in_two_parts_ends_bit_equal_in_both_models(config, data, tmp_path):
    """N = K + resume: tensors, optimizer, history; targets and scales of the moving averages too."""
    from training.callbacks import Callback

    class Stop(Callback):
        def step_end(self, run):
            if run.update == 3:
                raise KeyboardInterrupt

    def outcome(folder):
        state = read_state(stored(folder / "checkpoints")[-1])
        return state["files"], (folder / "metrics.jsonl").read_bytes()

    train(RECIPE, config, data, tmp_path / "calm", code="c")
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, config, data, tmp_path / "cut", code="c", callbacks=[Stop()])
    train(RECIPE, config, data, tmp_path / "cut", code="c")
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "calm")


def test_accumulation_gives_the_same_updates_to_float_tolerance(config, data, tmp_path):
    whole, parts = (
        train(RECIPE, with_overrides(config, {"train.accumulation": n}), data, tmp_path / str(n), code="c")
        for n in (1, 2)
    )
    ours, theirs = whole.model.state_dict(), parts.model.state_dict()
    assert all(torch.allclose(ours[name], theirs[name], atol=2e-3) for name in ours if name != "q_scale")


def test_validating_more_often_changes_no_weight(config, data, tmp_path):
    runs = [
        train(RECIPE, with_overrides(config, {"train.validate_every": n}), data, tmp_path / str(n), code="c")
        for n in (1, 5)
    ]
    first, second = (run.model.state_dict() for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)


def batch_of(data, config, rows=4):
    numbers = np.arange(rows)
    return RECIPE.batch(data, config, numbers, np.zeros(rows, np.int64))


def test_what_is_behind_an_episodes_end_changes_no_loss(config, data):
    """Padding is masked: other numbers there give the same loss."""
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config))
    batch = batch_of(data, config)
    batch["mask"][:, 8:] = False
    other = {name: value.clone() for name, value in batch.items()}
    other["obs"][:, 8:] += 5.0
    other["reward"][:, 7:] -= 3.0
    other["terminated"][:, 8:] = ~other["terminated"][:, 8:]
    a, b = (RECIPE.loss(model, config, each)["loss"] for each in (batch, other))
    assert torch.allclose(a, b) and float(a.detach()) > 0


def test_a_truncated_end_is_no_end(config, data):
    """The continue target is 1 - terminated: marking the last row as cut changes nothing, as terminated it does."""
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config))
    batch = batch_of(data, config)
    cut, ended = ({name: value.clone() for name, value in batch.items()} for _ in range(2))
    cut["last"][:, 7] = True
    ended["terminated"][:, 7] = True
    base, same, other = (float(RECIPE.loss(model, config, each)["loss"].detach()) for each in (batch, cut, ended))
    assert base == same != other


def toy_chain():
    """A tdmpc whose critics and policy are replaced by known ones: every target critic says 10."""
    model = Tdmpc(TdmpcConfig(critics=3, latent=8, hidden=8, encoder=8), inputs(2))
    with torch.no_grad():
        for target in model.targets:
            for parameter in target.parameters():
                parameter.zero_()
            hot = two_hot(torch.tensor([10.0]), model.config.bins, model.config.bound)[0]
            target[-1].bias.copy_((hot + 1e-9).log())
    return model


@pytest.mark.parametrize(("ended", "expected"), [(False, 1.0 + 0.975 * 10.0), (True, 1.0)])
def test_the_toy_chains_targets_are_known(ended, expected):
    """r + gamma * V after a cut or in the middle, r alone after a termination; gamma = (40 - 1) / 40."""
    model = toy_chain()
    target = model.td_target(torch.rand(5, 8), torch.ones(5), torch.full((5,), ended), torch.rand(5, 3))
    assert torch.allclose(target, torch.full((5,), expected), atol=0.05)


def test_the_lesser_of_two_target_critics_counts():
    model = toy_chain()
    with torch.no_grad():
        hot = two_hot(torch.tensor([2.0]), model.config.bins, model.config.bound)[0]
        model.targets[0][-1].bias.copy_((hot + 1e-9).log())
    draws = torch.zeros(60, 3)
    draws[:, 2] = torch.arange(60) / 60
    target = model.td_target(torch.rand(60, 8), torch.zeros(60), torch.zeros(60, dtype=torch.bool), draws)
    low = torch.isclose(target, torch.tensor(0.975 * 2.0), atol=0.05)
    assert low.float().mean() == pytest.approx(2 / 3, abs=0.02)  # of the six ordered pairs, four have critic 0
    assert torch.allclose(target[~low], torch.tensor(9.75), atol=0.1)


def test_the_policy_loss_reaches_the_policy_alone(data):
    config = with_overrides(RECIPE.presets["smoke"](), {"model": "tdmpc"})
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config))
    RECIPE.loss(model, config, batch_of(data, config))["policy_loss"].backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached == {"policy"}


def test_reading_observations_does_not_train_the_latent(data):
    config = with_overrides(RECIPE.presets["smoke"](), {"model": "tdmpc"})
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config))
    RECIPE.loss(model, config, batch_of(data, config))["readout_loss"].backward()
    assert {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None} == {"decoder"}


def test_after_step_moves_targets_a_hundredth_of_the_way_and_touches_no_critic():
    model = Tdmpc(TdmpcConfig(latent=8, hidden=8, encoder=8), inputs(2))
    with torch.no_grad():
        for parameter in model.critics.parameters():
            parameter.add_(1.0)
    before = [p.clone() for p in model.targets.parameters()]
    critics = [p.clone() for p in model.critics.parameters()]
    model.after_step()
    assert all(
        torch.allclose(p - b, torch.full_like(p, 0.01), atol=1e-6)
        for p, b in zip(model.targets.parameters(), before, strict=True)
    )
    assert all(torch.equal(a, b) for a, b in zip(model.critics.parameters(), critics, strict=True))


def test_the_encoder_learns_at_its_own_rate(data):
    from training.config import OptimizerConfig
    from training.optim import build_optimizer
    from training.optimizer_calls import OptimizerCalls

    model = Tdmpc(TdmpcConfig(latent=8, hidden=8, encoder=8), inputs(2))
    optimizer = build_optimizer(model, OptimizerConfig(lr=1e-3))
    OptimizerCalls(optimizer, "AdamW").set_rate(1e-3)
    slow = {id(p) for p in model.encoder.parameters()}
    rates = {id(p) in slow: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates == {True: pytest.approx(3e-4), False: pytest.approx(1e-3)}
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_groups_that_leave_a_parameter_out_are_refused():
    from assets_data.lineage import ConfigError
    from training.config import OptimizerConfig
    from training.optim import build_optimizer

    class Odd(torch.nn.Linear):
        def parameter_groups(self):
            return [{"params": [self.weight]}]

    with pytest.raises(ConfigError, match="PARAMETER_GROUPS"):
        build_optimizer(Odd(2, 2), OptimizerConfig())


@pytest.mark.parametrize("value", [-300.0, -1.0, 0.0, 0.3, 42.0])
def test_two_hot_and_symlog_come_back(value):
    hot = two_hot(torch.tensor([value]), 101, 10.0)
    assert torch.allclose(hot.sum(-1), torch.ones(1)) and (hot > 0).sum() <= 2
    centres = torch.linspace(-10, 10, 101)
    assert torch.allclose(symexp((hot * centres).sum(-1)), torch.tensor([value]), rtol=1e-3, atol=1e-3)
    assert torch.allclose(symexp(symlog(torch.tensor([value]))), torch.tensor([value]), rtol=1e-5)
    assert torch.allclose(from_two_hot((hot + 1e-9).log(), 10.0), torch.tensor([value]), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(("length", "discount"), [(10, 0.95), (200, 0.975), (1000, 0.995), (5000, 0.995)])
def test_the_discount_follows_the_mean_length(length, discount):
    assert discount_of(length) == pytest.approx(discount)


def test_samples_are_one_hot_by_the_draws_with_the_probabilities_gradient():
    logits = torch.tensor([[[0.2, 0.5, 0.3]]], requires_grad=True)
    drawn = [straight_through(logits.log_softmax(-1).exp().log(), torch.tensor([[u]])) for u in (0.1, 0.4, 0.99)]
    assert [int(sample.argmax()) for sample in drawn] == [0, 1, 2]
    assert all(torch.allclose(sample.sum(), torch.tensor(1.0)) for sample in drawn)
    drawn[0][0, 0, 1].backward()
    assert logits.grad is not None and logits.grad.abs().sum() > 0


@pytest.mark.parametrize("model", ["rssm", "tdmpc"])
@pytest.mark.parametrize("shape", [[64, 64, 3], [40, 56, 1], [7, 7, 3]])
def test_images_go_in_and_come_out_in_their_shape(model, shape):
    config = with_overrides(RECIPE.presets["smoke"](), {"model": model, "rssm.depth": 4, "tdmpc.depth": 4})
    made = RECIPE.build_model(config, inputs(shape=shape, dtype="uint8", discrete=3))
    obs = torch.randint(0, 256, (2, 3, *shape), dtype=torch.uint8)
    state = made.infer(obs, torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.bool))
    after, reward, going_on = made.step(state, torch.eye(3)[:2])
    said = made.decode(after)
    assert said.flatten(1).shape == (2, int(np.prod(shape))) and reward.shape == going_on.shape == (2,)


def test_draws_and_starts_are_of_the_row_and_not_of_the_batch(config, data):
    numbers = np.array([3, 1, 7])
    whole = RECIPE.batch(data, config, numbers, np.array([0, 2, 2]))
    alone = RECIPE.batch(data, config, numbers[1:2], np.array([2]))
    assert all(torch.equal(whole[name][1:2], alone[name]) for name in whole)
    other = RECIPE.batch(data, config, numbers[1:2], np.array([3]))
    assert not torch.equal(other["draws"], alone["draws"])


def test_a_config_that_contradicts_itself_says_everything_at_once():
    config = RECIPE.presets["smoke"]()
    wrong = dataclasses.replace(
        config,
        tdmpc=dataclasses.replace(config.tdmpc, latent=9, critics=1),
        gate=dataclasses.replace(config.gate, context=2, judged=50),
    )
    assert len([issue for issue in RECIPE.check(wrong) if issue.severity == "error"]) == 4
