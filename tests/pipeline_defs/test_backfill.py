"""Many slices at once: a Dagster backfill on the local queue, each slice in a run of its own or many in one."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import dagster as dg
import pytest

from assets_data.lineage import Store, resolve
from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.config import PRESETS
from assets_data.sources.sources import open_source
from tests.dagster_server import graphql, ui_server

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
SLICES, BROKEN = [f"files-{i}" for i in range(4)], "7.jsonl"
LAUNCH = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status
  assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {
    numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed } } } } } }"""
DEADLINE_S = 180


@pytest.fixture
def corpus(tmp_path):
    """Sixteen files, one of them with a line that is not JSON."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(16):
        rows = [
            {"text": f"document {number}/{i}: " + "the quick brown fox jumps over the dog. " * 9} for i in range(40)
        ]
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with open(folder / BROKEN, "a") as file:
        file.write("{broken\n")
    return folder


@pytest.fixture
def sqlite_home(tmp_path):
    """No DAGSTER_HOME: `stemma ui` prepares one from the project's dagster.yaml."""
    return {}


@pytest.fixture
def postgres_home(tmp_path):
    """A DAGSTER_HOME with the project's dagster.postgres.yaml, on a PostgreSQL cluster of our own, by unix socket."""
    if not POSTGRES:
        pytest.skip("no PostgreSQL server under /usr/lib/postgresql: apt-get install postgresql")
    pytest.importorskip("dagster_postgres", reason="dagster-postgres is not installed: the `postgres` extra")
    as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # the server refuses to run as root
    with tempfile.TemporaryDirectory(prefix="stemma-postgres-") as folder:  # tmp_path is closed to another user
        if as_owner:
            shutil.chown(folder, "postgres")
        control = [*as_owner, str(POSTGRES[-1] / "pg_ctl"), "-D", f"{folder}/data"]
        quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, "check": True}
        subprocess.run([*control, "initdb", "-o", "-A trust -U dagster"], **quiet)
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        subprocess.run([*control, "-w", "-l", f"{folder}/log", "-o", options, "start"], **quiet)
        try:
            yield postgres_variables(tmp_path, folder)
        finally:
            subprocess.run([*control, "-m", "immediate", "-w", "stop"], **quiet)


def postgres_variables(tmp_path, socket_folder):
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(ROOT / "dagster.postgres.yaml", home / "dagster.yaml")
    url = f"postgresql+psycopg2://dagster@/postgres?host={socket_folder}"
    return {"DAGSTER_HOME": str(home), "DAGSTER_POSTGRES_URL": url}


@pytest.mark.slow  # over a minute each: the daemon looks for backfills twice a minute
@pytest.mark.parametrize("home", ["sqlite_home", "postgres_home"])
def test_f41_a_backfill_runs_two_slices_at_a_time_and_one_bad_slice_stops_no_other(
    home, request, tmp_path, corpus, monkeypatch
):
    variables = request.getfixturevalue(home)
    root = tmp_path / "root"
    root.mkdir()
    (root / "operations.toml").write_text("slices_per_run = 1")
    with ui_server(root, **variables) as address:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with dg.DagsterInstance.from_config(variables.get("DAGSTER_HOME", str(root))) as instance:
            instance.add_dynamic_partitions("text_slices", SLICES)
            status = backfill(address, "raw_slice", SLICES, run_config(corpus))["status"]
            runs = list(instance.get_run_records())
            spans = [worker_span(instance, record) for record in runs]
            errors = {slice_of(record): first_error(instance, record) for record in runs}
    bad, good = bad_and_good(corpus)
    assert status == "COMPLETED_FAILED"
    assert "ROW_NOT_JSON" in errors.pop(bad) and errors == dict.fromkeys(good)
    assert Store(root / "store").names("text/raw_slice") == good
    assert most_at_once(spans) == 2


@pytest.mark.slow  # likewise
def test_a_backfill_makes_many_slices_in_one_run_and_dagster_counts_the_bad_one_alone_as_failed(tmp_path, corpus):
    root = tmp_path / "root"
    with ui_server(root) as address, dg.DagsterInstance.from_config(str(root)) as instance:
        instance.add_dynamic_partitions("text_slices", SLICES)
        ended = backfill(address, "raw_slice", SLICES, run_config(corpus))
        (run,) = instance.get_run_records()
        error = first_error(instance, run)
        made = instance.event_log_storage.get_materialized_partitions(dg.AssetKey(["text", "raw_slice"]))
    _, good = bad_and_good(corpus)
    assert ended["status"] == "COMPLETED_FAILED" and "ROW_NOT_JSON" in error
    (counts,) = ended["assetBackfillData"]["assetBackfillStatuses"]
    assert counts == {"numPartitionsTargeted": 4, "numPartitionsMaterialized": 3, "numPartitionsFailed": 1}
    assert sorted(made) == Store(root / "store").names("text/raw_slice") == good


def bad_and_good(corpus):
    (bad,) = [name for name, paths in open_source(source(corpus)).slices().items() if BROKEN in paths]
    return bad, [name for name in SLICES if name != bad]


def source(corpus):
    return resolve(PRESETS, "smoke", overrides(corpus))


def overrides(corpus):
    return {"source": "files", "files.root": str(corpus), "files.patterns": ["*.jsonl"]}


def run_config(corpus):
    return {"ops": {"text__raw_slice": {"config": {"preset": "smoke", "overrides": overrides(corpus)}}}}


def backfill(address, asset, partitions, run_config):
    """Launch it as the UI does and follow it to its end; what the UI then knows of it."""
    params = {
        "assetSelection": [{"path": ["text", asset]}],
        "partitionNames": partitions,
        "runConfigData": run_config,
    }
    launched = graphql(address, LAUNCH, params=params)["launchPartitionBackfill"]
    assert "backfillId" in launched, launched
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = graphql(address, STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
        if found["status"] not in ("REQUESTED", "CANCELING"):
            return found
        time.sleep(0.5)
    pytest.fail(f"the backfill was still running after {DEADLINE_S} s")


def slice_of(record):
    return record.dagster_run.tags["dagster/partition"]


def first_error(instance, record):
    """The messages of a failed run, the outermost first; None of one that succeeded."""
    messages = None if record.dagster_run.status == dg.DagsterRunStatus.SUCCESS else "failed without a step failure"
    for entry in instance.all_logs(record.dagster_run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        error, messages = entry.dagster_event.step_failure_data.error, ""
        while error:
            error, messages = error.cause, messages + error.message
    return messages


def worker_span(instance, record):
    """From when the run's process was launched (its imports included) to when the run ended, in epoch seconds."""
    launched = instance.get_records_for_run(record.dagster_run.run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING)
    return launched.records[0].event_log_entry.timestamp, record.end_time


def most_at_once(spans):
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    running = peak = 0
    for _, change in edges:
        running += change
        peak = max(peak, running)
    return peak
