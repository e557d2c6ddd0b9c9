"""A job launched from the UI, with the real web server and daemon: progress, a killed run worker, and cancelling."""

import json
import os
import re
import signal

import dagster as dg
import pytest

from pipeline_defs.commands.run import open_instance
from pipeline_defs.home import prepare_home
from tests.dagster_server import graphql, ui_server
from tests.faults.operated import LOCATION, switch_on, wait_until
from tests.pipeline_defs.test_launching import prepared
from tests.training.launch.test_jobs import ENDLESS, require_nobody
from training.checkpoint import stored
from training.launch.handle import State, read_handle, state_of
from training.launch.jobs import jobs

LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
TERMINATE = """mutation($id: String!) { terminateRun(runId: $id) { __typename ... on PythonError { message } } }"""


def launch(address, asset, launcher):
    """As the launchpad does."""
    selector = {**LOCATION, "pipelineName": "__ASSET_JOB", "assetSelection": [{"path": asset.split("/")}]}
    config = json.dumps({"resources": {"store": {"config": {"launcher": launcher, "processes": 2}}}})
    answer = graphql(address, LAUNCH, params={"selector": selector, "runConfigData": config, "mode": "default"})
    made = answer["launchPipelineExecution"]
    assert made["__typename"] == "LaunchRunSuccess", made
    return made["run"]["runId"]


def messages(instance, run_id):
    return [entry.message or entry.user_message for entry in instance.all_logs(run_id)]


def shows_progress(instance, run_id):
    return any("update " in line and " of 1,000,000: loss" in line for line in messages(instance, run_id))


def by_pipes(instance, run_id):
    return any("opened dagster pipes" in line for line in messages(instance, run_id))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "pipes"])
def test_a_job_from_the_ui_shows_progress_outlives_its_worker_is_joined_and_cancelled(tmp_path, monkeypatch, launcher):
    stage, store, inputs = prepared(tmp_path, **ENDLESS)
    for name, snapshot in inputs.items():
        store.point(f"walk_lm/{name}_report" if name == "preflight" else snapshot.kind, snapshot)
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    prepare_home(tmp_path)
    with ui_server(tmp_path) as address, open_instance() as instance:
        switch_on(address, "dead_runs")
        first = launch(address, stage.kind, launcher)
        wait_until(lambda: shows_progress(instance, first), 180, "the first run shows the job's updates")
        [run] = jobs(store.root)
        handle = read_handle(run)
        [worker] = {match[1] for line in messages(instance, first) if (match := re.search(r"pid: (\d+)", line))}
        os.kill(int(worker), signal.SIGKILL)
        wait_until(lambda: len(instance.get_runs()) > 1, 180, "the daemon runs it again")
        [again] = [each.run_id for each in instance.get_runs() if each.run_id != first]
        wait_until(lambda: shows_progress(instance, again), 180, "the second run shows the job's updates")
        assert read_handle(run) == handle and state_of(run) is State.RUNNING and handle.launcher == launcher
        assert all(by_pipes(instance, each) == (launcher == "pipes") for each in (first, again))
        assert graphql(address, TERMINATE, id=again)["terminateRun"]["__typename"] == "TerminateRunSuccess"
        wait_until(lambda: state_of(run) is State.CANCELLED, 60, "the job is cancelled with its run")
        ended = dg.DagsterRunStatus.CANCELED
        wait_until(lambda: instance.get_run_by_id(again).status is ended, 60, "the run is cancelled")
    assert int(stored(run / "checkpoints")[-1].name) > 0  # SIGTERM saved at the step's edge
    require_nobody(run)
