"""With the real daemon: files appear, and slices, dataset, training and champion follow without a hand."""

import json

import dagster as dg
import pytest

from assets_data.lineage import Store
from tests.chain import published_ids, run_chain
from tests.dagster_server import ui_server
from tests.faults.operated import operate, quiet_ticks, settings, switch_on, wait_until, write_file

SENSORS = ("new_slices", "retrain_on_new_manifest")
TRAINED = ("text/dataset_manifest", "walk_lm/checkpoint", "walk_lm/gate_report", "walk_lm/promoted_checkpoint")


@pytest.mark.slow  # two trainings, and a minute of ticks
def test_new_files_register_slices_and_the_chain_retrains_and_promotes_by_itself_and_then_rests(tmp_path):
    root, folder = tmp_path / "root", tmp_path / "mine"
    operate(root)
    for number in range(5):
        write_file(folder, number, 6)
    arguments = [part for name, value in settings(folder).items() for part in ("--set", f"{name}={json.dumps(value)}")]
    run_chain(root, *arguments)
    before = published_ids(root)
    with ui_server(root) as address, dg.DagsterInstance.from_config(str(root)) as instance:
        switch_on(address, *SENSORS)
        wait_until(lambda: quiet_ticks(instance, SENSORS, 2), 300, "what is there already is found made")
        first = published_ids(root)
        assert {name: first[name] for name in before} == before  # nothing of it was trained again
        write_file(folder, 5, 6)
        wait_until(lambda: published_ids(root)["text/dataset_manifest"] != before["text/dataset_manifest"], 300, "data")
        wait_until(lambda: quiet_ticks(instance, SENSORS, 2), 400, "the chain went through")
        after = published_ids(root)
        runs = len(instance.get_runs())
        wait_until(lambda: quiet_ticks(instance, SENSORS, 4), 120, "more ticks")
        assert len(instance.get_runs()) == runs and published_ids(root) == after
        failed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        assert [(run.job_name, reasons(instance, run)) for run in failed] == []
    assert all(after[name] != first[name] for name in TRAINED)
    for snapshot_id in after.values():
        Store(root / "store").snapshot(snapshot_id).verify(deep=True)


def reasons(instance, run):
    """What the log of a run says about its failure."""
    return [entry.user_message or entry.message for entry in instance.all_logs(run.run_id) if failure(entry)]


def failure(entry):
    return entry.is_dagster_event and entry.dagster_event.is_failure
