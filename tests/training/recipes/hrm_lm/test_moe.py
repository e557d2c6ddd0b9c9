import math

import pytest
import torch
import torch.nn.functional as F

from tests.training.recipes.hrm_lm.conftest import tiny
from training.recipes.hrm_lm.moe import Experts


def experts(**overrides):
    torch.manual_seed(0)
    return Experts(tiny(**{f"model.moe.{name}": value for name, value in overrides.items()}).model)


def by_hand(model, x_BTD, mask_BT, room):
    """Token by token, first come first served."""
    y, taken = torch.zeros_like(x_BTD), [0] * model.moe.experts
    share, assigned = torch.zeros(model.moe.experts), torch.zeros(model.moe.experts)
    for b, t in mask_BT.nonzero().tolist():
        probability = model.router(x_BTD[b, t]).softmax(-1)
        share += probability
        for expert in probability.topk(model.moe.top_k).indices.tolist():
            assigned[expert] += 1
            if taken[expert] < room:
                taken[expert] += 1
                hidden = F.gelu(x_BTD[b, t] @ model.up_EDF[expert])
                y[b, t] += probability[expert] * (hidden @ model.down_EFD[expert])
    tokens = int(mask_BT.sum())
    return y, model.moe.experts / tokens**2 * (share * assigned).sum(), taken


def batch():
    torch.manual_seed(1)
    x, mask = torch.randn(3, 10, 16), torch.ones(3, 10, dtype=torch.bool)
    mask[1, 6:] = mask[2, 2:5] = False
    return x, mask


@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_evaluation_routes_every_token_to_its_experts(top_k):
    model, (x, mask) = experts(top_k=top_k, capacity_factor=0.1).eval(), batch()
    y, aux = model(x, mask)
    expected, balance, _ = by_hand(model, x, mask, room=99)
    assert torch.allclose(y, expected, atol=1e-5) and aux.item() == pytest.approx(balance.item(), rel=1e-5)
    assert (y[~mask] == 0).all()


@pytest.mark.parametrize("top_k", [1, 2])
def test_training_gives_each_expert_its_room_in_token_order(top_k):
    model, (x, mask) = experts(top_k=top_k, capacity_factor=0.5).train(), batch()
    room = math.ceil(0.5 * 30 * top_k / 4)
    y, _ = model(x, mask)
    expected, _, taken = by_hand(model, x, mask, room)
    assert max(taken) == room and torch.allclose(y, expected, atol=1e-5)


def test_padding_takes_no_room_and_adds_nothing_to_the_balance():
    model, (x, mask) = experts().train(), batch()
    y, aux = model(x, mask)
    x = x.clone()
    x[~mask] = 100.0
    again, same = model(x, mask)
    assert torch.equal(y, again) and torch.equal(aux, same)


def test_every_expert_and_the_router_learn():
    model, (x, mask) = experts(top_k=2).train(), batch()
    y, aux = model(x, mask)
    (y.square().sum() + aux).backward()
    assert all((p.grad.flatten(1).abs().amax(dim=1) > 0).all() for p in (model.up_EDF, model.down_EFD))
    assert model.router.weight.grad.abs().max() > 0
