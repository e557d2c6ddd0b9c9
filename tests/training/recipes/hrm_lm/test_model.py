import numpy as np
import pytest
import torch

from tests.training.recipes.hrm_lm.conftest import build, tiny
from training.generation import Sampling
from training.recipes.hrm_lm.decode import write

MEMORIES = ("core", "core+encoder", "encoder")


def ids(rows=4, length=7, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).integers(4, 12, (rows, length)))


def full(rows=4, length=7):
    return torch.ones(rows, length, dtype=torch.bool)


def opened(seed=0, **overrides):
    """A model in evaluation mode whose gate is open."""
    model = build(seed, **overrides)
    model.count_rows(8 * 100)
    return model.eval()


def logits(model, encoder, decoder, mask=None):
    return model(encoder, full(*encoder.shape) if mask is None else mask, decoder).logits_BTV


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_prediction_depends_on_the_prompt_and_the_past_alone(memory):
    model, encoder, decoder = opened(**{"model.memory": memory}), ids(), ids(seed=1)
    later, other = decoder.clone(), encoder.clone()
    later[:, 4] = 4 + (later[:, 4] - 3) % 8
    other[:, 2] = 4 + (other[:, 2] - 3) % 8
    base = logits(model, encoder, decoder)
    assert torch.equal(base[:, :4], logits(model, encoder, later)[:, :4])
    assert not torch.allclose(base[:, 4:], logits(model, encoder, later)[:, 4:], atol=1e-3)
    assert not torch.allclose(base[:, 0], logits(model, other, decoder)[:, 0], atol=1e-4)


@pytest.mark.parametrize("moe", [False, True])
@pytest.mark.parametrize("memory", MEMORIES)
def test_padding_and_neighbours_change_nothing(memory, moe):
    model, encoder, decoder = opened(**{"model.memory": memory, "model.moe.enabled": moe}), ids(), ids(seed=1)
    padded = torch.cat((encoder, torch.full((4, 5), 9)), dim=1)
    mask = torch.cat((full(), torch.zeros(4, 5, dtype=torch.bool)), dim=1)
    alone = logits(model, encoder[:1], decoder[:1])
    assert torch.allclose(logits(model, padded, decoder, mask)[:1], alone, atol=1e-5)


def test_what_the_decoder_reads_is_as_long_as_the_config_says():
    sizes = {"core": 3, "core+encoder": 10, "encoder": 7}
    for memory, vectors in sizes.items():
        found = opened(**{"model.memory": memory}).remember(ids(), full())
        assert found.final_BMD.shape == (4, vectors, 16) and found.mask_B11M.shape == (4, 1, 1, vectors)
    cross = opened(**{"model.memory": "core", "model.bridge": "cross"}).remember(ids(), full())
    assert cross.final_BMD.shape == (4, 1, 16)


def test_without_a_core_no_parameter_of_it_exists():
    names = [name for name, _ in build(**{"model.memory": "encoder"}).named_parameters()]
    assert not any(name.startswith(("core", "pool")) for name in names)


@pytest.mark.parametrize("memory", MEMORIES)
def test_cached_greedy_answers_are_those_of_full_recomputation(memory):
    model, encoder = opened(**{"model.memory": memory}), ids(rows=5)
    sequence = torch.full((5, 1), 1)
    with torch.no_grad():
        for _ in range(9):
            sequence = torch.cat((sequence, logits(model, encoder, sequence)[:, -1].argmax(-1, keepdim=True)), dim=1)
    written = write(model, encoder, full(5), bos=1, eos=99, sampling=Sampling(max_new_tokens=9))
    assert written == sequence[:, 1:].tolist()


def test_writing_stops_at_eos_and_at_the_models_room():
    model, encoder = opened(), ids()
    free = write(model, encoder, full(), bos=1, eos=99, sampling=Sampling(max_new_tokens=99))
    assert [len(row) for row in free] == [32] * 4
    eos = free[0][3]
    stopped = write(model, encoder, full(), bos=1, eos=eos, sampling=Sampling(max_new_tokens=9))
    assert stopped == [row[: row[:9].index(eos)] if eos in row[:9] else row[:9] for row in free]


def test_writing_changes_no_mode_and_draws_nothing_from_torchs_generator():
    model, state = opened().train(), torch.get_rng_state()
    write(model, ids(), full(), bos=1, eos=2, sampling=Sampling(temperature=1.0, max_new_tokens=4))
    assert model.training and torch.equal(state, torch.get_rng_state())


def gradients(model, names):
    model.zero_grad(set_to_none=True)
    logits(model, ids(), ids(seed=1)).square().sum().backward()
    return {name: dict(model.named_parameters())[name].grad for name in names}


def test_one_step_gradient_stops_before_the_last_cycle_and_full_goes_to_the_beginning():
    slots = ("core.high_slots.weight", "core.low_slots.weight")
    positions = "core.low_positions.weight"
    short = gradients(opened().train(), [*slots, positions])
    far = gradients(opened(**{"model.core.gradient": "full"}).train(), [*slots, positions])
    assert all(short[name] is None for name in slots) and short[positions] is not None
    assert all(far[name].abs().max() > 0 for name in slots)
    assert not torch.allclose(short[positions], far[positions])
    once = gradients(opened(**{"model.core.h_cycles": 1}).train(), slots)
    assert all(once[name].abs().max() > 0 for name in slots)


def test_both_gradients_compute_the_same_answer():
    one = logits(opened(), ids(), ids(seed=1))
    assert torch.equal(one, logits(opened(**{"model.core.gradient": "full"}), ids(), ids(seed=1)))


def test_the_core_follows_its_formula():
    model = opened(**{"model.core.h_cycles": 1, "model.core.l_steps": 2})
    core, x = model.core, torch.randn(2, 16)
    high, low = core.high_slots.weight.expand(2, -1, -1), core.low_slots.weight.expand(2, -1, -1)
    extra = core.top_down(high.mean(1)) + core.low_input(x)
    for _ in range(2):
        low = core.low_norm(core.low_blocks[0](low + extra[:, None] + core.low_positions.weight))
    extra = core.bottom_up(low.mean(1)) + core.high_input(x)
    high = core.high_norm(core.high_blocks[0](high + extra[:, None] + core.high_positions.weight))
    assert torch.allclose(core(x).z_BD[-1], core.z(core.z_norm(high.mean(1))), atol=1e-6)


def test_deep_supervision_decodes_every_cycle_while_training_only():
    model = opened(**{"model.core.ds_weight": 0.5, "model.core.h_cycles": 3})
    assert model(ids(), full(), ids(seed=1)).earlier_BTV == []
    output = model.train()(ids(), full(), ids(seed=1))
    assert [x.shape for x in output.earlier_BTV] == [(4, 7, 12)] * 2
    assert not torch.allclose(output.earlier_BTV[0], output.logits_BTV, atol=1e-4)


def test_under_one_step_each_decoded_cycle_has_a_gradient_one_cycle_deep():
    model = opened(**{"model.core.ds_weight": 0.5}).train()
    slots = model.core.low_slots.weight

    def reaches_the_beginning(logits):
        (gradient,) = torch.autograd.grad(logits.square().sum(), [slots], retain_graph=True, allow_unused=True)
        return gradient is not None and bool(gradient.abs().max() > 0)

    output = model(ids(), full(), ids(seed=1))
    assert reaches_the_beginning(output.earlier_BTV[0]) and not reaches_the_beginning(output.logits_BTV)


def test_recomputing_activations_gives_the_same_gradients():
    for overrides in ({}, {"model.moe.enabled": True}):
        model = opened(**overrides).train()
        names = [name for name, _ in model.named_parameters()]
        kept = gradients(model, names)
        model.checkpoint_gradients()
        again = gradients(model, names)
        assert all(kept[n] is None or torch.allclose(kept[n], again[n], atol=1e-6) for n in names)


def test_dropout_acts_in_training_only():
    model = opened(**{"model.dropout": 0.5})
    assert torch.equal(logits(model, ids(), ids(seed=1)), logits(model, ids(), ids(seed=1)))
    model.train()
    assert not torch.equal(logits(model, ids(), ids(seed=1)), logits(model, ids(), ids(seed=1)))


@pytest.mark.parametrize(
    ("override", "value", "path"),
    [
        ("model.d_model", 15, "model.d_model"),
        ("model.core.l_len", 1, "model.core"),
        ("model.core.h_cycles", 0, "model.core"),
        ("model.core.halt_target", 9.0, "model.core.halt_target"),
        ("model.moe.top_k", 5, "model.moe.top_k"),
        ("model.moe.capacity_factor", 0.0, "model.moe"),
        ("model.gate_bias", -0.1, "model"),
        ("model.dropout", 1.0, "model.dropout"),
        ("data.heldout_share", 0.5, "data.heldout_share"),
        ("gate.exact_match", 1.0, "gate.exact_match"),
        ("gate.sample_top_p", 0.0, "gate"),
        ("gate.rows", 0, "gate"),
    ],
)
def test_contradictions_are_named(recipe, override, value, path):
    assert list(recipe.check(tiny())) == []
    assert path in [issue.path for issue in recipe.check(tiny(**{override: value}))]
