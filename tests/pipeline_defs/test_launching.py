"""A checkpoint that its asset has trained in a job: the same id as in the asset's own process, and trained once."""

import json
import threading
from dataclasses import replace

import dagster as dg
import pytest

from assets_data.lineage import ConfigError, Store, TrainingError
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.locks import lease
from pipeline_defs.catalogue import catalogue
from pipeline_defs.commands.cli import main
from pipeline_defs.dagster.launching import train_in_job
from pipeline_defs.dagster.made import make_stage
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.inputs import Own, read_inputs
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import make_inputs
from training.launch.handle import AGENT, HANDLE, JOB, LOG, read_handle
from training.launch.jobs import jobs
from training.recipe import is_training
from training.stages import make_checkpoint, make_preflight_report


def prepared(root, **overrides):
    """Stage, store and inputs of a tiny walk_lm."""
    stage, store = catalogue().stage("walk_lm/checkpoint"), Store(root / "store")
    recipe, inputs = stage.bind["recipe"], make_inputs(store, train=40)
    return stage, store, {**inputs, "preflight": make_preflight_report(store, recipe, inputs, tiny(**overrides))}


def test_a_job_makes_what_the_asset_would_and_is_not_started_twice(tmp_path, monkeypatch, capsys):
    stage, store, inputs = prepared(tmp_path, **{"train.lanes": 2})
    for snapshot in inputs.values():
        store.point(snapshot.kind, snapshot)
    resource = StoreResource(root=str(store.root), launcher="torchrun", processes=2, parallel="fsdp")
    with dg.DagsterInstance.ephemeral() as instance:
        made = make_stage(catalogue(), stage, instance, resource, None, "").snapshot
    parallel = made.read_json("training.json")["environment"]["parallel"]
    assert made.reused and (parallel["world"], parallel["strategy"]) == (2, "fsdp")
    [run] = jobs(store.root)
    handle = read_handle(run)
    train_in_job(stage, store, inputs, processes=2)
    assert read_handle(run) == handle
    stage, alone, inputs = prepared(tmp_path / "alone", **{"train.lanes": 2})
    preflight = inputs.pop("preflight")
    assert make_checkpoint(alone, stage.bind["recipe"], inputs, preflight).id == made.id
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    capsys.readouterr()
    assert main(["jobs", "list", "--json"]) == 0
    [listed] = json.loads(capsys.readouterr().out)["jobs"]
    assert (listed["run"], listed["state"], listed["processes"]) == (run.name, "COMPLETED", 2)
    assert main(["jobs", "status", run.name[:12]]) == 0 and main(["jobs", "cancel", run.name]) == 1
    for more in ([], ["--follow"]):
        assert main(["jobs", "logs", run.name, *more]) == 0 and made.id in capsys.readouterr().out
    assert main(["jobs", "status", "walk_lm-nothing"]) == 1


def test_a_job_says_by_pipes_how_far_it_is_from_its_beginning_to_every_run_that_joins_it(tmp_path):
    stage, store, inputs = prepared(tmp_path, **{"train.updates": 60, "train.lanes": 2, "train.log_every": 1})
    runs = {}

    @dg.asset(name="waits")
    def waits(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        train_in_job(stage, store, inputs, processes=2, launcher="pipes")
        return dg.MaterializeResult()

    def execute(name):
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize([waits], instance=instance, raise_on_error=False)
            runs[name] = done.success, [entry.user_message for entry in instance.all_logs(done.run_id)]

    first = threading.Thread(target=execute, args=("first",))
    first.start()
    while not jobs(store.root):
        first.join(0.05)
        assert not runs
    execute("second")
    first.join()
    [run] = jobs(store.root)
    logged = [line for line in (run / JOB / LOG).read_text().splitlines() if line.startswith("update ")]
    assert "begins" in logged[0] and "done" in logged[-1]
    for success, lines in runs.values():
        assert success and [line for line in lines if line.startswith("update ")] == logged
        assert not any("did not receive" in line for line in lines)
    assert stage.call(store, inputs).reused
    assert read_handle(run).launcher == "pipes"


def test_a_run_goes_on_from_its_own_preflight_whoever_moved_the_name_since(tmp_path):
    stage, store, inputs = prepared(tmp_path)
    for snapshot in inputs.values():
        store.point(snapshot.kind, snapshot)
    first = inputs.pop("preflight")
    own = {"walk_lm/preflight_report": Own(first.id, first.receipt)}
    other = make_preflight_report(store, stage.bind["recipe"], inputs, tiny(**{"train.seed": 9}))
    store.point("walk_lm/preflight_report", other)
    for mine, expected in ((own, first), ({}, other)):
        found = read_inputs(store, catalogue(), stage, "", [], mine)["preflight"]
        assert (found.id, found.receipt) == (expected.id, expected.receipt)


def test_an_asset_that_is_executed_while_its_job_runs_joins_it(tmp_path):
    stage, store, inputs = prepared(tmp_path, **{"train.updates": 60, "train.lanes": 2})
    ended = []
    first = threading.Thread(target=lambda: ended.append(train_in_job(stage, store, inputs, processes=2)))
    first.start()
    while not jobs(store.root):
        first.join(0.05)
        assert not ended
    train_in_job(stage, store, inputs, processes=2)  # another job would find the run directory held, and fail
    first.join()
    assert ended == [None] and stage.call(store, inputs).reused


def test_a_job_that_is_broken_or_runs_elsewhere_is_listed_beside_the_others(tmp_path, monkeypatch, capsys):
    asked = {"store": "s", "recipe": "walk_lm", "inputs": {}, "preflight": "p", "requested": {}}
    handle = {"launcher": "torchrun", "request": asked, "submitted": "now"}
    written = {"broken": [], "over": handle, "elsewhere": {**handle, "host": "elsewhere"}}
    for name, document in written.items():
        atomic.write_json(tmp_path / "store" / "runs" / name / JOB / HANDLE, document)
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    with lease(tmp_path / "store" / "runs" / "elsewhere" / JOB / AGENT):
        assert main(["jobs", "list", "--json"]) == 0
    states = {fact["run"]: fact["state"] for fact in json.loads(capsys.readouterr().out)["jobs"]}
    assert states == {"broken": "BROKEN", "over": "FAILED", "elsewhere": "UNKNOWN"}


def test_a_job_that_fails_says_why_and_where_its_log_is(tmp_path):
    stage, store, inputs = prepared(tmp_path)
    with pytest.raises(TrainingError, match=r"JOB_FAILED.*LANES_WORLD.*job\.log"):
        train_in_job(stage, store, inputs, processes=2)


def test_only_checkpoints_are_trained_in_jobs_and_none_that_is_sealed(tmp_path):
    kinds = [kind for kind, stage in catalogue().stages.items() if is_training(stage)]
    assert set(kinds) == {f"{name}/checkpoint" for name in catalogue().recipes}
    stage, store, inputs = prepared(tmp_path)
    with pytest.raises(ConfigError, match="JOB_SEALED"):
        train_in_job(stage, replace(store, builder=object()), inputs, processes=2)
