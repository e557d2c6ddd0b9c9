"""Runs whose process was killed: ended, and what they held is free. Waits: announced, and ended by the first signal."""

import collections
import datetime
import json
import os
import signal
import socket
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.test_utils import create_run_for_test

from assets_data.lineage.receipts.code import ROOT
from pipeline_defs.dagster import burial
from pipeline_defs.dagster.burial import alive_path, bury_dead_runs
from pipeline_defs.home import prepare_home
from pipeline_defs.locks import hold, is_dead, mark_alive
from tests.chain import environment, stemma

S = dg.DagsterRunStatus
LONG_AGO = 1.0  # seconds since 1970


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    prepare_home(tmp_path)
    yield tmp_path
    os.environ.pop("DAGSTER_HOME", None)


@pytest.fixture
def instance(root):
    with dg.DagsterInstance.from_config(str(root)) as instance:
        yield instance


@pytest.fixture
def start(root):
    started = []

    def begin(name):
        variables = environment(root) | {"DAGSTER_HOME": str(root), "RUN_NAME": name}
        command = [sys.executable, "-m", "tests.pipeline_defs.pooled"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, cwd=ROOT, env=variables, text=True, **pipes))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def status(instance, name):
    (run,) = instance.get_runs(filters=dg.RunsFilter(tags={"of": name}))
    return run.status


def kill(process):
    process.kill()
    process.wait()


def wait_for(stream, words):
    for line in stream:
        if words in line:
            return line
    raise AssertionError(f"{words!r} was never said")


def pool(instance):
    return instance.event_log_storage.get_concurrency_info("gpu")


def test_d1_a_killed_run_is_ended_and_its_slot_is_free(instance, start):
    process = start("killed")
    wait_for(process.stdout, "inside")
    assert bury_dead_runs(instance) == [] and status(instance, "killed") == S.STARTED  # the living stay
    kill(process)
    assert pool(instance).active_slot_count == 1
    assert len(bury_dead_runs(instance)) == 1
    assert status(instance, "killed") == S.FAILURE and pool(instance).active_slot_count == 0
    assert bury_dead_runs(instance) == []


def test_d1_a_waiter_says_who_holds_the_pool_and_a_killed_one_leaves_no_place_in_its_queue(instance, start):
    holder, waiter = start("holder"), None
    wait_for(holder.stdout, "inside")
    waiter = start("waiter")
    said = wait_for(waiter.stderr, "waiting")
    assert "'gpu'" in said and f"pid {holder.pid}" in said and "since" in said
    kill(waiter)
    assert pool(instance).pending_step_count == 1
    bury_dead_runs(instance)
    assert pool(instance).pending_step_count == 0 and status(instance, "waiter") == S.FAILURE
    holder.stdin.close()
    assert holder.wait() == 0 and status(instance, "holder") == S.SUCCESS
    assert pool(instance).active_slot_count == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_d1_a_waiter_ends_on_the_first_signal_and_leaves_nothing(instance, start, sent):
    holder = start("holder")
    wait_for(holder.stdout, "inside")
    waiter = start("waiter")
    wait_for(waiter.stderr, "waiting")
    waiter.send_signal(sent)
    assert waiter.wait(timeout=60) == 1
    assert status(instance, "waiter") == S.FAILURE and pool(instance).pending_step_count == 0


def test_d1_a_waiter_takes_over_from_a_holder_that_is_killed(instance, start):
    holder = start("holder")
    wait_for(holder.stdout, "inside")
    waiter = start("waiter")
    wait_for(waiter.stderr, "waiting")
    kill(holder)
    bury_dead_runs(instance)
    wait_for(waiter.stdout, "inside")
    waiter.stdin.close()
    assert waiter.wait() == 0 and status(instance, "holder") == S.FAILURE


def launched(instance, status, name, **server):
    """A run as Dagster's daemon launches it, which never came as far as its lock."""
    tags = {"of": name, **({".dagster/grpc_info": json.dumps(server)} if server else {})}
    create_run_for_test(instance, status=status, tags=tags)


def test_d1_a_run_that_never_began_is_ended_once_its_code_server_is_gone(instance, tmp_path, monkeypatch):
    there, gone = str(tmp_path / "there"), str(tmp_path / "gone")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(there)
        server.listen()
        launched(instance, S.STARTING, "orphan", host="localhost", socket=gone)
        launched(instance, S.STARTING, "served", host="localhost", socket=there)
        launched(instance, S.STARTING, "elsewhere", host="worker-3", port=4000)
        launched(instance, S.STARTED, "began", host="localhost", socket=there)
        launched(instance, S.STARTED, "of another launcher")
        assert bury_dead_runs(instance) == []  # all of them are too young to say
        monkeypatch.setattr(burial, "START_S", -1.0)
        bury_dead_runs(instance)
        assert status(instance, "orphan") == S.FAILURE and status(instance, "served") == S.STARTING
        monkeypatch.setattr(burial, "GRACE_S", -1.0)
        bury_dead_runs(instance)
    assert status(instance, "began") == S.FAILURE == status(instance, "served")
    assert status(instance, "elsewhere") == S.STARTING and status(instance, "of another launcher") == S.STARTED


def test_d1_a_long_run_whose_steps_are_through_is_let_say_so_itself(instance, tmp_path):
    launched(instance, S.STARTED, "ending", host="localhost", socket=str(tmp_path / "there"))
    launched(instance, S.STARTED, "silent", host="localhost", socket=str(tmp_path / "there"))
    began = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(hours=1)
    with instance.run_storage.connect() as connection:
        connection.execute(RunsTable.update().values(update_timestamp=began))
    (ending,) = instance.get_runs(filters=dg.RunsFilter(tags={"of": "ending"}))
    instance.report_engine_event("the last step is through, and the lock given back", ending)
    bury_dead_runs(instance)
    assert status(instance, "ending") == S.STARTED and status(instance, "silent") == S.FAILURE


def test_d1_who_ends_in_good_order_is_never_taken_for_dead(tmp_path):
    path, parent = tmp_path / "one.lock", os.getpid()
    child = os.fork()
    if not child:
        while os.getppid() == parent:
            with mark_alive(path, "me"):
                pass
    found = collections.Counter()
    try:
        while found.total() < 20_000 or (not found[False] and found.total() < 4_000_000):  # the child may begin late
            found[is_dead(path)] += 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert found[False] and not found[True], found


def test_d1_a_lock_that_was_left_goes_where_dagster_knows_no_run_of_it_or_one_that_has_ended(instance):
    """Killed between taking it and telling Dagster of the run, or between the run's end and giving it back."""
    left = [alive_path("untold"), alive_path(create_run_for_test(instance, status=S.SUCCESS).run_id)]
    with mark_alive(alive_path("living"), "a run that Dagster will hear of"):
        for path in left:
            path.write_text("{}")
        assert bury_dead_runs(instance) == []
        assert list(left[0].parent.iterdir()) == [alive_path("living")]


def test_d1_a_run_that_was_being_cancelled_is_cancelled(instance, start):
    process = start("cancelled")
    wait_for(process.stdout, "inside")
    (run,) = instance.get_runs()
    instance.report_run_canceling(run)
    kill(process)
    bury_dead_runs(instance)
    assert status(instance, "cancelled") == S.CANCELED


def test_a_lock_is_given_back_however_its_process_ends_and_a_fork_does_not_keep_it(tmp_path):
    path, (ready, begun) = tmp_path / "one.lock", os.pipe()
    assert is_dead(path) is None
    with hold(path, "me"):
        assert is_dead(path) is False
        child = os.fork()
        if not child:
            os.write(begun, b".")
            signal.pause()
        try:
            os.read(ready, 1)
        except BaseException:
            os.kill(child, signal.SIGKILL)
            raise
    try:
        assert is_dead(path) is True  # the child lives on, and does not hold it
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_d7_a_second_run_says_who_holds_the_root_since_when_and_no_wait_ends_at_once(root):
    with hold(root / "run.lock", "stemma run --recipe walk_lm"):
        refused = stemma(root, "run", "--preset", "smoke", "--no-wait")
        assert refused.returncode == 1 and "LOCK_HELD" in refused.stderr
        assert f"stemma run --recipe walk_lm (pid {os.getpid()} on" in refused.stderr and "since" in refused.stderr
        command = [sys.executable, "-m", "pipeline_defs.commands.cli", "run", "--preset", "smoke"]
        waiter = subprocess.Popen(command, cwd=ROOT, env=environment(root), stderr=subprocess.PIPE, text=True)
        said = wait_for(waiter.stderr, "waiting")
        assert f"pid {os.getpid()}" in said
        waiter.send_signal(signal.SIGTERM)
        assert waiter.wait(timeout=60) == -signal.SIGTERM
        waiter.stderr.close()
