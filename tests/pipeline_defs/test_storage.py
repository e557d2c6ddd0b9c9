"""Events stored together: others see all of them or none, and an error leaves the log as it was."""

import contextlib

import dagster as dg
import pytest

from pipeline_defs.commands.run import open_instance
from pipeline_defs.dagster.storage import stored_together
from pipeline_defs.home import prepare_home, stemma_root

KEY = dg.AssetKey(["text", "documents"])


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_home(stemma_root())
    with open_instance() as instance:
        yield instance


def store(instance, names):
    for name in names:
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=name))


def seen(instance):
    return {record.partition_key for record in instance.fetch_materializations(KEY, limit=100).records}


def test_another_process_sees_all_events_or_none(instance):
    store(instance, ["before"])
    with open_instance() as other:
        with stored_together(instance):
            store(instance, ["a", "b"])
            assert seen(other) == {"before"}
        assert seen(other) == {"before", "a", "b"} == other.get_materialized_partitions(KEY)


def test_an_error_leaves_the_log_as_it_was_and_open_for_what_follows(instance):
    with pytest.raises(KeyError), stored_together(instance):
        store(instance, ["lost"])
        raise KeyError
    assert seen(instance) == set()
    with stored_together(instance):
        store(instance, ["a"])
    store(instance, ["b"])
    assert seen(instance) == {"a", "b"}


def evaluations(instance, *told, together):
    """What is on record of a check after a run's evaluations for slice "a", told one after the other."""

    @dg.op(out={})
    def tell(context):
        for passed in told:
            with stored_together(instance) if together else contextlib.nullcontext():
                yield dg.AssetCheckEvaluation(KEY, "schema", passed, partition="a", metadata={"rows": len(told)})

    @dg.job
    def job():
        tell()

    run = job.execute_in_process(instance=instance).run_id
    check = dg.AssetCheckKey(KEY, "schema")
    history = instance.event_log_storage.get_asset_check_execution_history(check, limit=10)
    mine = [kept for kept in history if kept.run_id == run]
    return [(kept.status.value, kept.partition, kept.event.dagster_event.event_specific_data) for kept in mine]


@pytest.mark.parametrize("told", [[True], [False], [False, True], [True, False]])
def test_a_check_stored_together_is_on_record_as_one_stored_alone(instance, told):
    alone, together = (evaluations(instance, *told, together=together) for together in (False, True))
    assert alone == together and [status for status, *_ in together] == ["SUCCEEDED" if told[-1] else "FAILED"]
