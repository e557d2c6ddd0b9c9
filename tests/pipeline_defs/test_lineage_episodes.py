"""Lineage of episodes on the real chain: who saw one, taking twenty out, and making everything again from receipts."""

import shutil
from importlib.metadata import version

import numpy as np
import pytest

from assets_data.lineage import Store
from assets_data.lineage.queries.explain import explain
from pipeline_defs.answers.rebuild import rebuild_nodes
from pipeline_defs.answers.trained import TrainedRows
from pipeline_defs.answers.withdrawal.apply import apply_plan
from pipeline_defs.answers.withdrawal.plan import make_plan
from pipeline_defs.contract.trial import Trial

KINDS = ["world_model/gate_report"]
FEW = {
    "world_model.train.updates": 30,
    "world_model.train.batch_rows": 4,
    "world_model.train.checkpoint_every": 2,
    "world_model.train.keep_checkpoints": 15,
    "world_model.train.validate_every": 30,
    "world_model.gate.planning": "off",
    **{f"world_model.gate.over_{name}": -1e9 for name in ("no_change", "ridge", "knn")},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The root of a finished chain. Read-only."""
    root = tmp_path_factory.mktemp("episodes")
    with Trial(root) as trial:
        trial.run(KINDS, FEW)
    return root


@pytest.fixture
def trial(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "root")
    with Trial(tmp_path / "root") as trial:
        yield trial


def records(store):
    names = store.names("episodes/raw_slice")
    tables = [store.pointed(f"episodes/raw_slice/{name}").table("episodes.arrow") for name in names]
    return [record for table in tables for record in table["record_id"].to_pylist()]


def trained_records(store):
    sequences = store.pointed("episodes/sequences")
    return set(sequences.table("train.arrow")["record_id"].to_pylist())


def test_uses_names_the_steps_whose_batches_hold_a_sequence_of_the_episode(trial):
    rows = TrainedRows(trial.store, trial.store.pointed("world_model/checkpoint"))
    taken: dict[str, list[int]] = {}
    for step in range(1, 31):
        for record in {row.record for row in rows.batch(step)}:
            taken.setdefault(record, []).append(step)
    for record in sorted(trained_records(trial.store))[:10]:
        assert list(rows.uses(bytes.fromhex(record))) == taken.get(record, [])


def test_twenty_random_episodes_withdrawn_leave_the_run_that_never_held_them(trial, tmp_path):
    """Bit-equal weights, verdicts and tables, made by taking them out and by never collecting them."""
    draw = np.random.default_rng(0)
    chosen = {bytes.fromhex(str(record)) for record in draw.choice(records(trial.store), 20, replace=False)}
    before = trial.live()
    apply_plan(trial.store, make_plan(trial.store, chosen, "rebuild"))
    after = trial.live()
    assert after["world_model/checkpoint"] != before["world_model/checkpoint"]
    with Trial(tmp_path / "never") as never:
        shutil.copytree(trial.store.root / "withdrawals", never.store.root / "withdrawals")
        never.run(KINDS, FEW)
        for name in (
            "episodes/sequences",
            "episodes/statistics",
            "episodes/dataset_manifest",
            "world_model/checkpoint",
        ):
            assert never.live()[name] == after[name], name
        assert not {record.hex() for record in chosen} & set(records(never.store))


def test_withdrawing_a_test_episode_leaves_the_weights_as_they_are(trial):
    held_out = trial.store.pointed("episodes/sequences").table("test.arrow")["record_id"][0].as_py()
    before = trial.live()
    apply_plan(trial.store, make_plan(trial.store, {bytes.fromhex(held_out)}, "rebuild"))
    after = trial.live()
    assert after["episodes/statistics"] == before["episodes/statistics"]
    assert after["world_model/checkpoint"] == before["world_model/checkpoint"]
    assert after["world_model/gate_report"] != before["world_model/gate_report"]


def test_everything_is_made_again_from_its_receipts(trial, tmp_path):
    steps = list(rebuild_nodes(trial.store, Store(tmp_path / "again"), trial.live()["world_model/gate_report"]))
    assert len(steps) == 8 and [step["kind"] for step in steps if not step["same"]] == []


def test_explain_hashes_from_the_verdict_down_to_the_seeds(trial):
    tree = explain(trial.store, trial.live()["world_model/gate_report"])
    assert tree.broken is None
    kinds = {node.kind for node in tree.nodes.values()}
    assert {"episodes/raw_slice", "episodes/statistics", "world_model/checkpoint"} <= kinds
    raw = next(node for node in tree.nodes.values() if node.kind == "episodes/raw_slice")
    (receipt,) = raw.receipts
    assert receipt.arguments["env_id"] == "Pendulum-v1" and receipt.arguments["seeds"][1] % 40 == 0
    assert receipt.arguments["versions"] == {"gymnasium": version("gymnasium")}
