"""F38, F44: web server, daemon, code server or all of it killed while a run trains; Dagster's databases locked."""

import shutil
import sqlite3

import dagster as dg
import pytest

from tests.chain import published_ids, run_chain, start_chain
from tests.dagster_server import ui_server
from tests.faults.launched import (
    attempts,
    await_success,
    kill_processes,
    launch_training,
    processes,
    training_began,
)
from tests.faults.operated import UNFINISHED, wait_until

SEED = {"train.seed": 7}


@pytest.fixture(scope="module")
def undisturbed(finished_chain, tmp_path_factory):
    """The checkpoint of a run nobody touched."""
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    shutil.copytree(finished_chain, root)
    run_chain(root, "--set", "walk_lm.train.seed=7")
    return published_ids(root)["walk_lm/checkpoint"]


@pytest.mark.slow  # two starts of the servers each, and the daemon's own pace
@pytest.mark.parametrize("killed", ["dagster_webserver", "dagster._daemon", "everything"])
def test_f38_f44_a_killed_server_and_its_restart_end_in_the_same_checkpoint(
    finished_chain, undisturbed, tmp_path, killed
):
    root = tmp_path / "root"
    shutil.copytree(finished_chain, root)
    with ui_server(root) as address, dg.DagsterInstance.from_config(str(root)) as instance:
        run_id = launch_training(address, **SEED)
        wait_until(lambda: training_began(instance, run_id), 120, "the training began")
        assert kill_processes("" if killed == "everything" else killed, root)
    with ui_server(root), dg.DagsterInstance.from_config(str(root)) as instance:
        await_success(instance, run_id)
        assert not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        assert len(attempts(instance, run_id)) <= 2
        assert instance.event_log_storage.get_concurrency_info("gpu").active_slot_count == 0
    assert published_ids(root)["walk_lm/checkpoint"] == undisturbed
    wait_until(lambda: not processes("", root), 60, "nothing is left over")


@pytest.mark.slow  # Dagster waits, and tries again, before it gives up
@pytest.mark.parametrize("database", ["runs.db", "index.db"])
def test_f38_a_locked_database_ends_a_run_with_a_code_and_nothing_is_lost(
    finished_chain, undisturbed, tmp_path, database
):
    root = tmp_path / "root"
    shutil.copytree(finished_chain, root)
    (found,) = (root / "dagster").rglob(database)
    with sqlite3.connect(found, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        process = start_chain(root, "--set", "walk_lm.train.seed=7")
        output, _ = process.communicate(timeout=300)
        other.execute("ROLLBACK")
    assert process.returncode == 1 and "[DAGSTER_DATABASE]" in output and "Traceback" not in output, output
    run_chain(root, "--set", "walk_lm.train.seed=7")
    assert published_ids(root)["walk_lm/checkpoint"] == undisturbed
