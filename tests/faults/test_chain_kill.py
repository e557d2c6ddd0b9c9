"""SIGKILL anywhere in the chain, then run again: the same ids as the run nobody touched."""

import functools
import random
import shutil
import signal
import subprocess
import time

import pytest

from assets_data.lineage import Store
from tests.chain import published_ids, run_chain, start_chain

KILLS = {"walk_lm": 20, "world_model": 6, "cell_mlm": 6, "geno_lewm": 6}
"""A recipe of every domain, and at how many moments of its run it is killed."""
ATTEMPTS = [(recipe, attempt) for recipe, kills in KILLS.items() for attempt in range(kills)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Of a recipe: the ids of a run nobody touched, and how long it took: the window the kills are drawn from."""

    @functools.cache
    def run(recipe):
        run_chain(tmp_path_factory.mktemp("warm"), "--recipe", recipe)  # fills the compile cache: the next is as others
        root = tmp_path_factory.mktemp("undisturbed")
        started = time.monotonic()
        run_chain(root, "--recipe", recipe)
        return published_ids(root), time.monotonic() - started

    return run


def kill_after(root, recipe, seconds):
    """Start the chain and SIGKILL it after this long; False when it was done before."""
    process = start_chain(root, "--recipe", recipe)
    try:
        process.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "attempt"), ATTEMPTS)
def test_f12_f23_killed_at_a_random_moment_the_chain_heals_to_the_same_ids(undisturbed, tmp_path, recipe, attempt):
    ids, seconds = undisturbed(recipe)
    delay = random.Random(attempt).uniform(attempt, attempt + 1) / KILLS[recipe] * seconds
    while not kill_after(tmp_path, recipe, delay):  # faster than when the window was measured: draw again
        shutil.rmtree(tmp_path)
        delay *= 0.8
    run_chain(tmp_path, "--recipe", recipe)
    assert published_ids(tmp_path) == ids
    store = Store(tmp_path / "store")
    assert not list((store.root / "snapshots").glob(".tmp-*")) + list((store.root / "stages").glob(".tmp-*"))
    for snapshot_id in ids.values():
        store.snapshot(snapshot_id).verify(deep=True)


@pytest.mark.slow
def test_f23_killed_again_and_again_the_chain_still_arrives(undisturbed, tmp_path):
    ids, seconds = undisturbed("walk_lm")
    draw = random.Random(99)
    kills = sum(kill_after(tmp_path, "walk_lm", draw.uniform(0.3, 0.9) * seconds) for _ in range(3))
    run_chain(tmp_path)
    assert kills >= 1 and published_ids(tmp_path) == ids
