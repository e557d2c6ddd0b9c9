"""A run that executes the rest of a killed one goes on from what that one made, not from what the names say now."""

import shutil

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import create_execution_plan, execute_run_iterator

from assets_data.lineage import Store
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.storage.tombstones import write_tombstone
from pipeline_defs.dagster.own import WITHDRAWN, made_by

PREFLIGHT, CHECKPOINT = dg.AssetKey(["walk_lm", "preflight_report"]), dg.AssetKey(["walk_lm", "checkpoint"])
NAME = "walk_lm/preflight_report"


@pytest.fixture
def root(finished_chain, tmp_path, monkeypatch):
    shutil.copytree(finished_chain, tmp_path / "root")
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    return tmp_path / "root"


def preflight(instance, seed):
    """A run that makes a preflight of its own and moves the name to it; the run and the snapshot's id."""
    from pipeline_defs.definitions import defs

    config = {"preset": "smoke", "overrides": {"train.seed": seed, "train.updates": 60}}
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[PREFLIGHT],
        run_config={"ops": {"walk_lm__preflight_report": {"config": config}}},
    )
    [made] = result.asset_materializations_for_node("walk_lm__preflight_report")
    return result.dagster_run, made


def in_place_of(instance, parent, key):
    """A run of one asset in place of another run, executed; the run."""
    from pipeline_defs.definitions import defs

    whole = InMemoryJob(defs.resolve_implicit_global_asset_job_def())
    part = whole.get_subset(asset_selection=frozenset([key]))
    run = instance.create_run_for_job(
        job_def=part.get_definition(),
        execution_plan=create_execution_plan(part),
        asset_selection=frozenset([key]),
        parent_run_id=parent.run_id,
        root_run_id=parent.root_run_id or parent.run_id,
    )
    assert [event for event in execute_run_iterator(whole, run, instance) if event.is_run_failure] == []
    return run


def test_the_rest_of_a_run_trains_by_its_own_preflight_whoever_moved_the_name_since(root):
    store = Store(root / "store")
    with dg.DagsterInstance.ephemeral() as instance:
        (first, made), (_, other) = preflight(instance, 1), preflight(instance, 2)
        assert store.pointer(NAME)["snapshot"] == other.metadata["id"].value != made.metadata["id"].value
        rest = in_place_of(instance, first, CHECKPOINT)
        receipt = read_receipt(store.pointed("walk_lm/checkpoint").receipt)
        assert made.metadata["id"].value in {parent.id for parent in receipt.parents}
        again = instance.create_run_for_job(
            job_def=dg.GraphDefinition("none").to_job(), parent_run_id=rest.run_id, root_run_id=first.run_id
        )
        own = made_by(instance, again, 0)  # what its parent's parent made counts as well
        assert own.keys() == {NAME, "walk_lm/checkpoint"} and own[NAME].id == made.metadata["id"].value
        assert str(own[NAME].receipt) == made.metadata["receipt"].value


def test_what_was_made_before_a_withdrawal_stands_for_nothing_after_it(root):
    store = Store(root / "store")
    with dg.DagsterInstance.ephemeral() as instance:
        first, made = preflight(instance, 1)
        assert WITHDRAWN not in made.metadata and made_by(instance, first, 0).keys() == {NAME}
        write_tombstone(store.root, {"records": ["ab" * 32], "learners": [], "reason": "asked"})
        assert len(store.withdrawn) == 1 and made_by(instance, first, 1) == {}
        second, made = preflight(instance, 2)
        assert made.metadata[WITHDRAWN].value == 1
        assert made_by(instance, second, 1).keys() == {NAME} and made_by(instance, second, 0) == {}
