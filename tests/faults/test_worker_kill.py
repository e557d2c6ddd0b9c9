"""F36, F37: the process that executes a run is killed, with Dagster's real daemon beside it."""

import shutil

import dagster as dg
import pytest

from tests.chain import published_ids, run_chain
from tests.dagster_server import ui_server
from tests.faults.launched import (
    await_success,
    kill_process,
    launch_training,
    processes,
    training_began,
    worker_of,
)
from tests.faults.operated import wait_until

S = dg.DagsterRunStatus


@pytest.mark.slow  # two trainings, and the daemon's own pace
def test_f36_f37_a_killed_worker_is_buried_and_its_run_started_again_makes_the_same_checkpoint_once(
    finished_chain, tmp_path
):
    root, alone = tmp_path / "root", tmp_path / "alone"
    shutil.copytree(finished_chain, root)
    shutil.copytree(finished_chain, alone)
    run_chain(alone, "--set", "walk_lm.train.seed=7")
    with ui_server(root) as address, dg.DagsterInstance.from_config(str(root)) as instance:
        before = materialised(instance)
        run_id = launch_training(address, **{"train.seed": 7})
        wait_until(lambda: training_began(instance, run_id), 120, "the training began")
        worker = worker_of(root, run_id)
        assert worker
        kill_process(worker)
        first, *again = await_success(instance, run_id)
        assert first.status == S.FAILURE and [run.status for run in again] == [S.SUCCESS]
        assert materialised(instance) - before == 1
        assert not processes(run_id, root)  # F37: nothing of the killed one is left
    assert published_ids(root)["walk_lm/checkpoint"] == published_ids(alone)["walk_lm/checkpoint"]


def materialised(instance):
    """How often the checkpoint was."""
    return len(instance.fetch_materializations(dg.AssetKey(["walk_lm", "checkpoint"]), limit=100).records)
