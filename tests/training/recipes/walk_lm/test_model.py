import numpy as np
import pytest
import torch

from training.recipes.walk_lm.config import ModelConfig
from training.recipes.walk_lm.decode import decode
from training.recipes.walk_lm.model import Cache, WalkTransformer, rotary_tables, rotate

CONFIG = ModelConfig(layers=3, width=16, heads=2, context=12)


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def model():
    torch.manual_seed(0)
    return WalkTransformer(CONFIG, 20).eval()


def tokens(batch=4, length=12, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).integers(0, 20, (batch, length)))


def test_a_prediction_depends_on_the_past_alone(model):
    first = tokens()
    second = first.clone()
    second[:, 7] = (second[:, 7] + 1) % 20
    a, b = model(first), model(second)
    assert torch.equal(a[:, :7], b[:, :7]) and not torch.allclose(a[:, 7:], b[:, 7:])


def test_attention_sees_relative_positions_only():
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    cos, sin = rotary_tables(40, 8, 100.0)
    scores = [float((rotate(q, cos[i], sin[i]) * rotate(k, cos[i - 5], sin[i - 5])).sum()) for i in (5, 17, 39)]
    assert scores == pytest.approx([scores[0]] * 3, abs=1e-5)
    assert float((rotate(q, cos[9], sin[9]) * rotate(k, cos[3], sin[3])).sum()) != pytest.approx(scores[0], abs=1e-3)


def test_the_head_is_not_tied_and_the_initial_loss_is_that_of_guessing(model):
    assert model.head.weight is not model.embedding.weight
    sequence = tokens(64)
    loss = torch.nn.functional.cross_entropy(model(sequence[:, :-1]).flatten(0, 1), sequence[:, 1:].flatten())
    assert float(loss) == pytest.approx(np.log(20), abs=0.6)


@pytest.mark.parametrize("prompt", [1, 5, 11])
def test_the_cache_gives_the_logits_of_the_whole_sequence(model, prompt):
    sequence, cache = tokens(), Cache(CONFIG, 4, torch.device("cpu"))
    whole = model(sequence)
    found = [model(sequence[:, :prompt], cache)] + [model(sequence[:, t : t + 1], cache) for t in range(prompt, 12)]
    assert torch.allclose(torch.cat(found, 1), whole[:, prompt - 1 :], atol=1e-5)


@pytest.mark.parametrize(("prompt", "steps"), [(1, 11), (6, 6), (6, 30), (12, 5), (20, 5)])
def test_cached_decoding_equals_recomputing_the_slid_window_each_step(model, prompt, steps):
    prompts = tokens(6, prompt).numpy()
    sequence = torch.as_tensor(prompts)
    for _ in range(steps):
        sequence = torch.cat([sequence, model(sequence[:, -12:])[:, -1].argmax(-1, keepdim=True)], 1)
    assert (decode(model, prompts, steps) == sequence.numpy()).all()


def test_samples_follow_the_models_distribution_and_their_seed(model):
    prompts = np.repeat(tokens(1, 3).numpy(), 4000, axis=0)
    first = decode(model, prompts, 1, sample_seed=1)[:, -1]
    expected = model(torch.as_tensor(prompts[:1]))[0, -1].softmax(-1).numpy()
    assert np.abs(np.bincount(first, minlength=20) / 4000 - expected).max() < 0.03
    assert (first == decode(model, prompts, 1, sample_seed=1)[:, -1]).all()
    assert (first != decode(model, prompts, 1, sample_seed=2)[:, -1]).any()


def test_a_sample_does_not_depend_on_its_neighbours_in_the_batch(model):
    prompts = tokens(6, 3).numpy()
    assert (decode(model, prompts[:2], 9, sample_seed=1) == decode(model, prompts, 9, sample_seed=1)[:2]).all()
