"""The gradient of an update as a sum over lanes, in one process."""

import pytest
import torch
from torch import nn

from assets_data.lineage import ConfigError
from tests.training.test_validation import Labelled
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.config import problems
from training.loop import train
from training.parallel.lanes import Share, pairwise
from training.parallel.world import World

SGD = {"train.optimizer": {"name": "SGD", "lr": 0.1, "weight_decay": 0.0, "kwargs": {}}, "train.grad_clip": 0.0}


def run(directory, recipe=None, **overrides):
    return train(recipe or ToyRecipe(), toy_config(**overrides), toy_data(), directory, code="c")


def weights(finished):
    return torch.cat([p.detach().flatten() for p in finished.model.parameters()])


def share(value):
    gradient = None if value is None else torch.tensor([value], dtype=torch.float32)
    return Share([gradient], torch.ones(1, dtype=torch.float64), [])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1e8, 1.0, -1e8, 1.0], 0.0),  # one after the other it would be 1
        ([1e8, -1e8, 1.0, 1.0], 2.0),
        ([1.0, 1e8, 1.0, -1e8, 1e8, 1.0, -1e8, 1.0], 0.0),
        ([None, 2.0, None, 3.0], 5.0),
    ],
)
def test_shares_are_summed_pair_by_pair(values, expected):
    whole = pairwise(map(share, values))
    [gradient] = whole.gradients
    assert gradient is not None and float(gradient) == expected and float(whole.numbers[0]) == len(values)


def test_what_no_lane_reaches_has_no_gradient():
    assert pairwise(map(share, [None] * 4)).gradients == [None]


@pytest.mark.parametrize("recipe", [ToyRecipe, Labelled])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_lanes_give_the_update_of_one_lane_to_float_tolerance(tmp_path, recipe, accumulation):
    whole = run(tmp_path / "a", recipe(), dropout=0.0, **SGD)
    parts = run(tmp_path / "b", recipe(), dropout=0.0, **SGD, **{"train.lanes": 2, "train.accumulation": accumulation})
    assert torch.allclose(weights(whole), weights(parts), rtol=1e-4, atol=1e-6)
    assert not torch.equal(weights(whole), weights(parts))


def test_every_lane_and_update_draws_its_own_numbers(tmp_path):
    seen = []

    class Drawing(ToyRecipe):
        def loss(self, model, config, batch):
            if model.training:
                seen.append(float(torch.rand(())))
            return super().loss(model, config, batch)

    run(tmp_path, Drawing(), **{"train.lanes": 4})
    assert len(seen) == len(set(seen)) == 12 * 4


class Counting(nn.Linear):
    def __init__(self):
        super().__init__(6, 6)
        self.register_buffer("passes", torch.zeros(()), persistent=False)

    def forward(self, x):
        self.passes += 1
        return super().forward(x)


class Held(Counting):
    """Keeps its count as state that is no buffer."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, x):
        self.count += 1
        return nn.Linear.forward(self, x)

    def get_extra_state(self):
        return torch.tensor(self.count)

    def set_extra_state(self, state):
        self.count = int(state)


@pytest.mark.parametrize(("kind", "name"), [(Counting, "passes"), (Held, "_extra_state"), (None, "running_mean")])
def test_a_model_that_changes_in_a_pass_is_refused_by_name(tmp_path, kind, name):
    class Moving(ToyRecipe):
        def build_model(self, config, inputs):
            return nn.Sequential(kind() if kind else nn.BatchNorm1d(6))

    with pytest.raises(ConfigError, match=f"LANES_STATE.*{name}"):
        run(tmp_path / "lanes", Moving(), **{"train.lanes": 2})
    run(tmp_path / "one", Moving())


@pytest.mark.parametrize(
    "change",
    [
        {"train.lanes": 3, "train.batch_rows": 6},
        {"train.lanes": 8},
        {"train.lanes": 4, "train.accumulation": 2},
        {"train.lanes": 2, "train.optimizer.name": "adahessian"},
    ],
    ids=str,
)
def test_lanes_that_cannot_be_summed_evenly_are_refused_before_training(change):
    assert {code for code, _, _ in problems(toy_config(**change).train)} == {"TRAIN_CONFIG_LANES"}


def test_processes_share_the_lanes_in_order_or_refuse():
    shares = [list(World(rank=rank, size=4).share(8)) for rank in range(4)]
    assert shares == [[0, 1], [2, 3], [4, 5], [6, 7]]
    with pytest.raises(ConfigError, match="LANES_WORLD"):
        World(rank=0, size=4).share(2)
