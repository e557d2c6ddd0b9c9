"""SIGKILL anywhere in the chain, then run again: the same ids as the run nobody touched."""

import random
import shutil
import signal
import subprocess
import time

import pytest

from assets_data.lineage import Store
from tests.chain import published_ids, run_chain, start_chain

KILLS = 20


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The ids of a run nobody touched, and how long it took: the window the kills are drawn from."""
    run_chain(tmp_path_factory.mktemp("warm"))  # fills the compile cache, so that the next run is as long as the others
    root = tmp_path_factory.mktemp("undisturbed")
    started = time.monotonic()
    run_chain(root)
    return published_ids(root), time.monotonic() - started


def kill_after(root, seconds):
    """Start the chain and SIGKILL it after this long; False when it was done before."""
    process = start_chain(root)
    try:
        process.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(KILLS))
def test_f12_f23_killed_at_a_random_moment_the_chain_heals_to_the_same_ids(undisturbed, tmp_path, attempt):
    ids, seconds = undisturbed
    delay = random.Random(attempt).uniform(attempt, attempt + 1) / KILLS * seconds
    while not kill_after(tmp_path, delay):  # the machine was faster than when the window was measured: draw again
        shutil.rmtree(tmp_path)
        delay *= 0.8
    run_chain(tmp_path)
    assert published_ids(tmp_path) == ids
    store = Store(tmp_path / "store")
    assert not list((store.root / "snapshots").glob(".tmp-*")) + list((store.root / "stages").glob(".tmp-*"))
    for snapshot_id in ids.values():
        store.snapshot(snapshot_id).verify(deep=True)


@pytest.mark.slow
def test_f23_killed_again_and_again_the_chain_still_arrives(undisturbed, tmp_path):
    ids, seconds = undisturbed
    draw = random.Random(99)
    kills = sum(kill_after(tmp_path, draw.uniform(0.3, 0.9) * seconds) for _ in range(3))
    run_chain(tmp_path)
    assert kills >= 1 and published_ids(tmp_path) == ids
