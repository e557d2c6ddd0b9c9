"""A step on pieces of a tensor, as long as anybody cuts them, to the bit as on the whole."""

import pytest
import torch
from torch import nn

from assets_data.lineage import ConfigError, with_overrides
from tests.training.toy import toy_config
from training.parallel.elements import Elements, vector_width
from training.parallel.sharded import refuse_unfit
from training.shards import rows_of

KINDS = {
    "AdamW": (torch.optim.AdamW, {"lr": 1e-2, "weight_decay": 0.1}),
    "Adam": (torch.optim.Adam, {"lr": 1e-2}),
    "SGD": (torch.optim.SGD, {"lr": 1e-1, "momentum": 0.9, "weight_decay": 0.1}),
}
CPU = torch.device("cpu")


def stepped(kind, settings, whole, gradients, cuts, width):
    """``whole`` and what the optimizer keeps of it, after steps on pieces between ``cuts``."""
    locals_ = [nn.Parameter(whole[a:b].clone()) for a, b in cuts]
    elements = [Elements(p, a, len(whole), width) for p, (a, _) in zip(locals_, cuts, strict=True)]
    parts = [part for each in elements for part in each.parts]
    optimizer = kind([{"params": parts}], fused=True, **settings)
    for gradient in gradients:
        for own, each, (a, b) in zip(locals_, elements, cuts, strict=True):
            own.grad = gradient[a:b]
            each.before()
        optimizer.step()
        for each in elements:
            each.after()
        states = [each.gather_state(optimizer.state) for each in elements]
        for own, each, state in zip(locals_, elements, states, strict=True):  # as a resume does
            optimizer.state[own] = state
            each.spread_state(optimizer.state)
    kept = {key: [state[key] for state in states if state] for key in states[0] if key != "step"}
    return [torch.cat([p.detach() for p in locals_]), *(torch.cat(values) for values in kept.values())]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("total", [3, 8, 29, 64, 100])
@pytest.mark.parametrize("size", [2, 4])
def test_pieces_are_moved_as_the_whole_is(name, total, size):
    kind, settings = KINDS[name]
    torch.manual_seed(total)
    whole, gradients = torch.randn(total), torch.randn(6, total)
    cuts = [(own.start, own.stop) for own in (rows_of(total, rank, size) for rank in range(size))]
    width = vector_width(kind([nn.Parameter(whole)], fused=True, **settings), CPU)
    expected = stepped(kind, settings, whole, gradients, [(0, total)], 1)
    found = stepped(kind, settings, whole, gradients, cuts, width)
    assert all(map(torch.equal, found, expected))


def test_pieces_handed_over_as_they_are_come_to_other_bits_where_the_kernel_has_vectors():
    kind, settings = KINDS["AdamW"]
    torch.manual_seed(0)
    whole, gradients = torch.randn(256), torch.randn(6, 256)
    width = vector_width(kind([nn.Parameter(whole)], fused=True, **settings), CPU)
    single = [(i, i + 1) for i in range(256)]
    expected = stepped(kind, settings, whole, gradients, [(0, 256)], 1)
    as_they_are = stepped(kind, settings, whole, gradients, single, 1)
    assert all(map(torch.equal, as_they_are, expected)) == (width == 1)
    assert all(map(torch.equal, stepped(kind, settings, whole, gradients, single, width), expected))


@pytest.mark.parametrize(
    "change", [{"train.optimizer.name": "Muon"}, {"train.precision": "fp16"}, {"train.compile": True}], ids=str
)
def test_what_needs_whole_tensors_is_refused_by_name(change):
    plan = with_overrides(toy_config(), change).train
    with pytest.raises(ConfigError, match="FSDP_UNFIT"):
        refuse_unfit(plan, nn.Linear(2, 2))


def test_a_parameter_without_rows_is_refused_by_name():
    model = nn.Linear(2, 2)
    model.scale = nn.Parameter(torch.ones(()))
    with pytest.raises(ConfigError, match=r"FSDP_UNFIT.*scale"):
        refuse_unfit(toy_config().train, model)


def test_what_has_no_gradient_stays_as_it_is():
    whole = torch.randn(13)
    piece = nn.Parameter(whole.clone())
    elements = Elements(piece, 3, 40, 8)
    optimizer = torch.optim.AdamW(elements.parts, fused=True)
    elements.before()
    optimizer.step()
    elements.after()
    assert torch.equal(piece.detach(), whole)
