"""Contenders that train in turn: only one is awake, each has its block, and waiting counts for nobody."""

import threading

import numpy as np
import pytest

from benchmarks.turns import Turns


def test_blocks_of_updates_alternate_and_whoever_ends_leaves_the_turn_to_the_others():
    turns, seen = Turns(block=2, threads=1), []

    def contender(updates):
        for _ in range(updates):
            turns.edge()
            seen.append(threading.current_thread().name)

    took = turns.run(
        {name: (lambda updates=updates: contender(updates)) for name, updates in zip("abc", (5, 2, 6), strict=True)}
    )
    # at every second edge the turn goes on, before that update is counted
    assert "".join(seen) == "a" + "b" + "c" + "aa" + "b" + "cc" + "aa" + "cc" + "c"
    assert {name: each.shape for name, each in took.items()} == {"a": (4, 2), "b": (1, 2), "c": (5, 2)}


def test_a_contenders_waiting_is_not_in_what_it_took():
    now = np.zeros(2)
    turns = Turns(block=2, threads=1, read=now.copy)

    def work(seconds):
        for _ in range(4):
            turns.edge()
            now[:] += seconds

    took = turns.run({"light": lambda: work([1, 2]), "heavy": lambda: work([100, 300])})
    assert {name: each.tolist() for name, each in took.items()} == {"light": [[1, 2]] * 3, "heavy": [[100, 300]] * 3}


def test_what_a_contender_raises_is_raised_after_the_others_ended():
    turns, ended = Turns(block=1, threads=1), []

    def fails():
        turns.edge()
        raise ValueError("the loss is not a number")

    def goes_on():
        for _ in range(3):
            turns.edge()
        ended.append(True)

    with pytest.raises(ValueError, match="not a number"):
        turns.run({"fails": fails, "goes on": goes_on})
    assert ended == [True]
