"""F44: files arrive, runs queue, and workers or everything are killed at random: the end is that of a calm machine."""

import functools
import json
import random
import shutil

import dagster as dg
import pytest

from assets_data.lineage import Store
from tests.chain import published_ids, run_chain
from tests.dagster_server import ui_server
from tests.faults.launched import attempts, kill_process, kill_processes, launch_training, worker_of
from tests.faults.operated import UNFINISHED, operate, quiet_ticks, settings, switch_on, wait_until, write_file

SENSORS = ("new_slices", "retrain_on_new_manifest")
ROUNDS, FILES = 3, 8
RUNS, WORKERS_KILLED, TREES_KILLED = 200, 20, 5
CHECKPOINT = dg.AssetKey(["walk_lm", "checkpoint"])
S = dg.DagsterRunStatus


def logged(instance):
    """How many events all runs have written."""
    return sum(len(instance.all_logs(run.run_id)) for run in instance.get_runs())


@pytest.mark.slow  # five trainings and the daemon's own pace
def test_f44_files_arrive_while_everything_is_killed_again_and_again_and_the_end_is_the_calm_machines(tmp_path):
    root, calm, folder, draw = tmp_path / "root", tmp_path / "calm", tmp_path / "mine", random.Random(44)
    operate(root)
    for number in range(FILES - ROUNDS):
        write_file(folder, number, FILES)
    arguments = [part for name, value in settings(folder).items() for part in ("--set", f"{name}={json.dumps(value)}")]
    run_chain(root, *arguments)
    shutil.copytree(root, calm)  # a tokenizer once learned stays, so the calm machine begins from the same files
    with dg.DagsterInstance.from_config(str(root)) as instance:
        for number in range(FILES - ROUNDS, FILES):
            write_file(folder, number, FILES)
            with ui_server(root) as address:
                switch_on(address, *SENSORS)
                wait_until(lambda: instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)), 240, "a run begins")
                enough = logged(instance) + draw.randrange(5, 60)
                wait_until(lambda enough=enough: logged(instance) >= enough, 240, "it is on its way")
                kill_processes("", root)
        with ui_server(root):
            wait_until(lambda: quiet_ticks(instance, SENSORS, 3), 600, "the chain went through")
        assert not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    run_chain(calm, *arguments)
    after, expected = published_ids(root), published_ids(calm)
    assert {name: after[name] for name in expected} == expected
    sound(root)


@pytest.mark.slow  # 200 runs of ten seconds each, two at a time
def test_two_hundred_queued_runs_with_a_tenth_killed_and_the_whole_tree_five_times(finished_chain, tmp_path):
    root, draw = tmp_path / "root", random.Random(13)
    shutil.copytree(finished_chain, root)
    before = len(checkpoints(root))
    marks = [*sorted(draw.sample(range(RUNS // 20, RUNS - RUNS // 20), TREES_KILLED)), RUNS]
    launched: list[str] = []
    doomed: dict[str, int] = {}  # run -> after how many of its events its worker is killed
    for mark in marks:
        with ui_server(root) as address, dg.DagsterInstance.from_config(str(root)) as instance:
            if not launched:
                launched = [launch_training(address, **seeded(number)) for number in range(RUNS)]
                drawn = draw.sample(launched, RUNS)
                doomed.update((run_id, draw.randrange(1, 20)) for run_id in drawn[:WORKERS_KILLED])
                spare = drawn[WORKERS_KILLED:]
            check = functools.partial(arrived, root, instance, doomed, spare, mark)
            wait_until(check, 3600, f"{mark} runs are through")
            if mark < RUNS:
                kill_processes("", root)
    with dg.DagsterInstance.from_config(str(root)) as instance:
        assert not doomed  # each was killed
        for run_id in launched:
            assert attempts(instance, run_id)[-1].status == S.SUCCESS
        assert not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        pool = instance.event_log_storage.get_concurrency_info("gpu")
        assert pool.active_slot_count == 0 and pool.pending_step_count == 0
        trained = trainings(instance)
    assert len(checkpoints(root)) == before + RUNS  # none lost
    assert len(trained) == len(set(trained))  # none trained twice
    sound(root)


def seeded(number):
    """A short training of its own."""
    return {"train.seed": 1_000 + number, "train.updates": 60}


def arrived(root, instance, doomed, spare, mark):
    """Whether ``mark`` of the launched runs have succeeded, at whichever attempt. Meanwhile the workers of doomed
    runs that have written as many events as was drawn for them are killed; one that has ended before anybody looked
    is spared, and another stands in for it.
    """
    for run_id, events in list(doomed.items()):
        worker = worker_of(root, run_id)
        if instance.get_run_by_id(run_id).is_finished:
            doomed[spare.pop()] = doomed.pop(run_id)
        elif worker and len(instance.all_logs(run_id)) >= events:
            kill_process(worker)
            del doomed[run_id]
    done = instance.get_runs(dg.RunsFilter(statuses=[S.SUCCESS], job_name="__ASSET_JOB"))
    return len({run.root_run_id or run.run_id for run in done}) >= mark


def trainings(instance):
    """The id of every checkpoint that a run says it trained; one that found it made says ``reused``."""
    events = instance.fetch_materializations(CHECKPOINT, limit=10 * RUNS).records
    told = [record.asset_materialization for record in events]
    return [told.tags["dagster/data_version"] for told in told if not told.metadata["reused"].value]


def checkpoints(root):
    """The ids of all checkpoints in the store."""
    store = Store(root / "store")
    return [node for node in snapshots(store) if node.kind == "walk_lm/checkpoint"]


def sound(root):
    """Nothing half-made is left, and everything verifies."""
    store = Store(root / "store")
    assert not list((store.root / "snapshots").glob(".tmp-*")) + list((store.root / "stages").glob(".tmp-*"))
    for snapshot in snapshots(store):
        snapshot.verify(deep=True)


def snapshots(store):
    """Every published snapshot."""
    return [store.snapshot(snapshot_id) for snapshot_id in store.snapshot_ids()]
