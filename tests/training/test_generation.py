"""Choosing tokens, and the byte vocabulary."""

import numpy as np
import pytest
import torch

from assets_data.lineage import ConfigError
from training.generation import BYTE_VOCABULARY, EOS, Sampling, choose, decode_bytes, encode_bytes

LOGITS = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))


def drawn(count=4000, **sampling):
    tokens = choose(LOGITS.expand(count, -1), 3, Sampling(**sampling))
    return np.bincount(tokens.numpy(), minlength=4) / count


def test_temperature_zero_is_greedy_and_ties_go_to_the_lowest_id():
    assert choose(torch.tensor([[1.0, 3.0, 3.0]]), 0, Sampling(top_p=0.1, seed=9)).tolist() == [1]


def test_samples_follow_the_distribution_and_the_temperature():
    assert np.abs(drawn(temperature=1.0) - [0.5, 0.3, 0.15, 0.05]).max() < 0.03
    cold = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    assert np.abs(drawn(temperature=0.5) - cold / cold.sum()).max() < 0.03


@pytest.mark.parametrize(("top_p", "kept"), [(0.5, 1), (0.51, 2), (0.79, 2), (0.81, 3), (1.0, 4), (0.01, 1)])
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(top_p, kept):
    found = drawn(temperature=1.0, top_p=top_p)
    expected = np.array([0.5, 0.3, 0.15, 0.05][:kept])
    assert (found[kept:] == 0).all() and np.abs(found[:kept] - expected / expected.sum()).max() < 0.03


def test_a_nucleus_that_is_reached_exactly_takes_no_further_token():
    tokens = choose(torch.zeros(2000, 4), 0, Sampling(temperature=1.0, top_p=0.5))
    assert sorted(set(tokens.tolist())) == [0, 1]


def test_a_sample_depends_on_seed_step_and_place_alone():
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    how = Sampling(temperature=1.0, seed=4)
    assert torch.equal(choose(logits, 2, how)[:3], choose(logits[:3], 2, how))
    assert not torch.equal(choose(logits, 2, how), choose(logits, 3, how))
    assert not torch.equal(choose(logits, 2, how), choose(logits, 2, Sampling(temperature=1.0, seed=5)))


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"max_new_tokens": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError) as caught:
        Sampling(**wrong)
    assert caught.value.code == "SAMPLING_RANGE"


def test_bytes_go_there_and_back_and_specials_are_left_out():
    text = "What is 10 + 99? é"
    ids = encode_bytes(text)
    assert decode_bytes([1, *ids, EOS]) == text and min(ids) >= 4 and max(ids) < BYTE_VOCABULARY == 260
