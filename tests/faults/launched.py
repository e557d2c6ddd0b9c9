"""Runs launched through the web server, as the UI launches them, and the processes that serve and execute them."""

import contextlib
import json
import os
import signal
from pathlib import Path

import dagster as dg

from pipeline_defs.locks import read_facts
from tests.dagster_server import graphql
from tests.faults.operated import LOCATION, wait_until

LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
TRAINING = [{"path": ["walk_lm", "preflight_report"]}, {"path": ["walk_lm", "checkpoint"]}]


def launch_training(address: str, **overrides: object) -> str:
    """The id of a run of preflight and checkpoint of walk_lm on the smoke preset."""
    selector = {**LOCATION, "pipelineName": "__ASSET_JOB", "assetSelection": TRAINING, "assetCheckSelection": []}
    ops = {"walk_lm__preflight_report": {"config": {"preset": "smoke", "overrides": overrides}}}
    params = {"selector": selector, "mode": "default", "runConfigData": json.dumps({"ops": ops})}
    answer = graphql(address, LAUNCH, params=params)["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return answer["run"]["runId"]


def worker_of(root: Path, run_id: str) -> int | None:
    """The process that executes a run; None before it does."""
    facts = read_facts(root / "alive" / f"{run_id}.lock")
    return int(facts["pid"]) if facts else None


def attempts(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterRun]:
    """The run and every one that was started in its place, the oldest first."""
    runs = [run for run in instance.get_runs() if run_id in (run.run_id, run.root_run_id)]
    return runs[::-1]


def training_began(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the run's checkpoint step reported an update."""
    return any(entry.user_message.startswith("update ") for entry in instance.all_logs(run_id))


def await_success(instance: dg.DagsterInstance, run_id: str, seconds: float = 240) -> list[dg.DagsterRun]:
    """The attempts of a run once the newest of them succeeded."""
    done = dg.DagsterRunStatus.SUCCESS
    wait_until(lambda: attempts(instance, run_id)[-1].status == done, seconds, f"run {run_id} is through")
    return attempts(instance, run_id)


def processes(words: str, root: Path) -> list[int]:
    """Processes with ``words`` in their command line that work over ``root``."""
    return [pid for pid in _pids() if words in _read(pid, "cmdline") and f"STEMMA_ROOT={root}" in _read(pid, "environ")]


def kill_process(pid: int) -> None:
    """SIGKILL, where it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_processes(words: str, root: Path) -> list[int]:
    """SIGKILL to all of :func:`processes`; which they were. Without words to servers, daemon and workers alike."""
    found = processes(words, root)
    for pid in found:
        kill_process(pid)
    return found


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
