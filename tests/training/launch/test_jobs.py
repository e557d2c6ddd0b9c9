"""A training in processes of its own: submitted, joined, followed, cancelled, and told from a stranger by its start."""

import os
import signal
import threading
from dataclasses import asdict
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from assets_data.lineage import ConfigError, DataError, IntegrityError, Store, TrainingError
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.locks import is_held, lease
from tests.faults.operated import wait_until
from training.checkpoint import stored
from training.launch.handle import AGENT, HANDLE, JOB, LOG, Request, State, read_handle, state_of
from training.launch.jobs import cancel, follow_log, jobs, submit
from training.launch.local import descendants, start_time
from training.run_directory import run_lease

ENDLESS = {"train.updates": 10**6, "train.lanes": 2, "train.log_every": 1, "train.checkpoint_every": 10**5}


def first_update(run):
    """Wait for the job's first word of an update, as its log says it."""
    next(line for line in follow_log(run) if line.startswith("update ") and "begins" not in line)


def require_nobody(run):
    """Soon no process holds the run or a rank's part of it: threads of one that ended may for a moment."""
    wait_until(lambda: not held(run) and not held(run / "ranks" / "1"), 10, "nobody holds the run")


def held(run):
    try:
        with run_lease(run):
            return False
    except TrainingError:
        return True


def test_a_job_is_joined_cancelled_started_again_and_lost(tmp_path, request_of):
    request, run = request_of(**ENDLESS), None
    store = Store(tmp_path / "store")
    run = store.run_dir("walk_lm-endless")
    handle = submit(run, request)
    assert state_of(run) in (State.PENDING, State.RUNNING)
    first_update(store.root / "runs" / "walk_lm-endless")
    assert state_of(run) is State.RUNNING and submit(run, request) == handle  # joined
    assert is_held(run / JOB / AGENT)
    members = descendants(handle.pid)
    assert len(members) >= 3
    assert cancel(run) is State.CANCELLED and not any(map(start_time, members))
    assert not is_held(run / JOB / AGENT)
    [directory] = [path for path in store.root.glob("runs/*") if stored(path / "checkpoints")]
    assert int(stored(directory / "checkpoints")[-1].name) > 0  # SIGTERM saved at the step's edge
    require_nobody(directory)
    assert cancel(run) is State.CANCELLED
    again = submit(run, request)
    assert again.pid != handle.pid
    first_update(run)
    members = descendants(again.pid)
    os.kill(again.pid, signal.SIGKILL)
    for pid in members:
        while start_time(pid):  # the kernel ends them with their agent
            pass
    assert state_of(run) is State.FAILED
    require_nobody(directory)
    assert jobs(store.root) == [run]


def test_a_job_that_loses_a_process_is_started_once_more_and_completes(tmp_path, request_of):
    store = Store(tmp_path / "store")
    run = store.run_dir("walk_lm-robbed")
    handle = submit(run, request_of(**{**ENDLESS, "train.updates": 500, "train.checkpoint_every": 100}))
    first_update(run)
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants(handle.pid)}
    os.kill(next(pid for pid, command in commands.items() if b"launch.member" in command), signal.SIGKILL)
    lines = list(follow_log(run))
    assert state_of(run) is State.COMPLETED and sum("once more" in line for line in lines) == 1, lines
    assert lines[-1].startswith("walk_lm/checkpoint sha256:")


@pytest.fixture
def finished(tmp_path):
    run = tmp_path / "run"
    (run / JOB).mkdir(parents=True)
    return run


def write(run, **changes):
    request = Request(store="s", recipe="walk_lm", inputs={}, preflight="p", requested={})
    own = {"launcher": "torchrun", "request": asdict(request), "pid": os.getpid(), "submitted": "now"}
    atomic.write_json(run / JOB / HANDLE, {**own, "started": start_time(os.getpid()), **changes})


def test_a_process_id_that_was_used_again_is_no_job(finished):
    write(finished)
    assert state_of(finished) is State.PENDING
    write(finished, started="another boot/1")
    assert state_of(finished) is State.FAILED
    assert cancel(finished) is State.FAILED  # and this very process, which has that id, still runs


@pytest.mark.parametrize(("status", "state"), [(0, State.COMPLETED), (1, State.FAILED), (75, State.FAILED)])
def test_how_a_job_ended_is_what_it_noted(finished, status, state):
    write(finished, started="")
    atomic.write_json(finished / JOB / "ended.json", {"status": status})
    assert state_of(finished) is state
    (finished / JOB / LOG).write_text("one\ntwo")
    assert list(follow_log(finished)) == ["one", "two"]


@pytest.mark.parametrize("name", [HANDLE, "ended.json"])
@pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", '{"status": "no"}', '{"pid": "no"}'])
def test_a_file_that_no_job_wrote_is_named_and_says_what_to_do(finished, name, text):
    write(finished, started="")
    (finished / JOB / name).write_text(text)
    for ask in (state_of, cancel, lambda run: submit(run, read_handle(run).request)):
        with pytest.raises(IntegrityError, match=rf"JOB_DAMAGED.*{name}.*remove"):
            ask(finished)


def test_a_job_that_runs_on_another_machine_is_neither_failed_nor_started_again(finished):
    write(finished, started="another boot/1", host="elsewhere")
    with lease(finished / JOB / AGENT):  # as its agent holds it there
        for ask in (state_of, cancel, lambda run: submit(run, read_handle(run).request)):
            with pytest.raises(TrainingError, match=r"JOB_ELSEWHERE.*elsewhere"):
                ask(finished)
    assert state_of(finished) is State.FAILED  # that machine, or a container of its name, is gone


def test_a_log_that_is_gone_is_said_so(finished):
    write(finished, started="")
    with pytest.raises(DataError, match="JOB_NO_LOG"):
        list(follow_log(finished))


def test_a_run_without_a_job_is_said_so(tmp_path):
    with pytest.raises(DataError, match="JOB_UNKNOWN"):
        read_handle(tmp_path)


def test_an_unknown_launcher_is_refused_and_leaves_no_job(tmp_path):
    asked = Request(store="s", recipe="walk_lm", inputs={}, preflight="p", requested={})
    with pytest.raises(ConfigError, match=r"LAUNCHER_UNKNOWN.*slurm.*found nobody"):
        submit(tmp_path / "runs" / "r", asked, "nobody")
    assert jobs(tmp_path) == []


def test_a_job_that_its_cluster_does_not_know_any_more_is_over(finished):
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as cluster:
        threading.Thread(target=cluster.serve_forever, daemon=True).start()
        name = f"http://127.0.0.1:{cluster.server_port}/api/jobs/one"
        write(finished, launcher="ray", name=name, started="", pid=0)
        assert state_of(finished) is State.FAILED
        cluster.shutdown()


@pytest.mark.parametrize("launcher", ["ray", "slurm"])
def test_a_scheduler_that_does_not_answer_leaves_no_job_and_fails_none(tmp_path, finished, launcher, monkeypatch):
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")  # discard(9): nothing listens
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = Request(store="s", recipe="walk_lm", inputs={}, preflight="p", requested={})
    with pytest.raises(TrainingError, match="JOB_UNREACHED"):
        submit(tmp_path / "runs" / "r", asked, launcher)
    assert jobs(tmp_path) == []
    write(finished, launcher=launcher, name="http://127.0.0.1:9/api/jobs/one", started="", pid=0)
    with pytest.raises(TrainingError, match="JOB_UNREACHED"):
        state_of(finished)  # it may well run
