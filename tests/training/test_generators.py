import random
import sys

import numpy as np
import torch

from training.generators import forked_generators, generator_states, restore_generators, seed_generators


def draw() -> tuple:
    return (float(torch.rand(())), float(np.random.random()), random.random(), np.random.normal(), random.gauss(0, 1))


def test_every_generator_goes_on_where_it_was_kept():
    seed_generators(2**51 + 5)
    np.random.normal(), random.gauss(0, 1)  # each holds the second of a pair back
    kept = generator_states()
    expected = [draw() for _ in range(400)]
    draw()
    restore_generators(kept)
    assert [draw() for _ in range(400)] == expected


def test_the_seed_decides():
    draws = []
    for seed in (1, 1, 1 + 2**40):
        seed_generators(seed)
        draws.append(draw())
    assert draws[0] == draws[1] and not set(draws[0][1:]) & set(draws[2][1:])  # torch's takes 32 bits


def test_a_fork_leaves_no_trace():
    with forked_generators():
        seed_generators(3)
        expected = draw()
    seed_generators(3)
    with forked_generators():
        [draw() for _ in range(5)]
    assert draw() == expected


def test_states_from_before_numpy_s_was_kept_restore_torch_s_alone():
    seed_generators(4)
    kept = {"cpu": generator_states()["cpu"]}
    expected = draw()
    restore_generators(kept)
    again = draw()
    assert again[0] == expected[0] and again[1] != expected[1]


def test_seeding_gives_what_torch_gives_and_looks_at_no_stack():
    called = []
    seed_generators(123456789012)
    found = generator_states()
    torch.manual_seed(123456789012)
    assert torch.equal(found["cpu"], torch.get_rng_state())
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_filename) if event == "call" else None)
    seed_generators(5)  # an update seeds twice
    sys.setprofile(None)
    assert not [file for file in called if file.endswith("traceback.py")]
