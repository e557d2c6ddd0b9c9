"""Contenders that train in turn: only one is awake, each has its update, and waiting counts for nobody."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from benchmarks.turns import Turns


def test_all_that_are_left_have_a_turn_before_one_has_another():
    turns, seen = Turns(threads=1), []

    def contender(updates):
        for _ in range(updates):
            turns.edge()
            seen.append(threading.current_thread().name)

    took = turns.run(
        {name: (lambda updates=updates: contender(updates)) for name, updates in zip("abc", (5, 2, 6), strict=True)}
    )
    took_part = ["abc", "abc", "ac", "ac", "ac", "c"]
    ends = np.cumsum([len(each) for each in took_part])
    assert ["".join(sorted(each)) for each in np.split(seen, ends[:-1])] == took_part
    assert {name: each.shape for name, each in took.items()} == {"a": (4, 2), "b": (1, 2), "c": (5, 2)}


def test_the_order_is_another_each_time_and_the_seed_decides_it():
    def orders(seed):
        turns, seen = Turns(threads=1, seed=seed), []

        def contender():
            for _ in range(40):
                turns.edge()
                seen.append(threading.current_thread().name)

        turns.run(dict.fromkeys("abc", contender))
        return ["".join(seen[at : at + 3]) for at in range(0, len(seen), 3)]

    assert len(set(orders(1))) == 6 and orders(1) == orders(1) != orders(2)


def test_a_contenders_waiting_is_not_in_what_it_took():
    now = np.zeros(2)
    turns = Turns(threads=1, read=now.copy)

    def work(seconds):
        for _ in range(4):
            turns.edge()
            now[:] += seconds

    took = turns.run({"light": lambda: work([1, 2]), "heavy": lambda: work([100, 300])})
    assert {name: each.tolist() for name, each in took.items()} == {"light": [[1, 2]] * 3, "heavy": [[100, 300]] * 3}


def test_what_a_contender_raises_is_raised_after_the_others_ended():
    turns, ended = Turns(threads=1), []

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


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no process on a core")
def test_on_one_core_are_the_threads_that_come_and_what_is_started_in_its_place():
    told = "import os; print(os.sched_getaffinity(0))"
    script = f"""if True:
        import os, sys, threading
        from benchmarks.turns import stay_on_one_core
        assert stay_on_one_core()
        thread = threading.Thread(target=lambda: exec({told!r}))
        thread.start(); thread.join(); sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-c", {told!r}])"""
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert run.stdout.splitlines() == [str({max(os.sched_getaffinity(0))})] * 2
