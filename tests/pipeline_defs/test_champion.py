"""The champion of a recipe: moved by a gate that passed, an intact lineage and a fair comparison; and back again."""

import json
import os
import shutil
import signal
from pathlib import Path

import dagster as dg
import pytest

from assets_data.lineage import GateError, Store
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.storage.tombstones import write_tombstone
from pipeline_defs.answers.champion.contest import contest, find_challenger
from pipeline_defs.answers.champion.promote import promote, roll_back
from pipeline_defs.answers.champion.shelf import CURRENT, shelf
from pipeline_defs.answers.champion.standing import champion, history
from tests.chain import stemma
from training.comparison import compare
from training.trainer import train

RECIPE = "walk_lm"


def judged(store: Store, **overrides):
    trainer = train(RECIPE, store=store, preset="smoke", overrides=overrides)
    trainer.evaluate()
    return trainer.checkpoint.id


@pytest.fixture(scope="module")
def three(finished_chain, tmp_path_factory):
    """A root whose recipe has three judged checkpoints: as the chain made it, another seed, and one hardly trained."""
    root = tmp_path_factory.mktemp("champion") / "root"
    shutil.copytree(finished_chain, root)
    store = Store(root / "store")
    first = store.pointer(f"{RECIPE}/checkpoint")["snapshot"]
    loose = {"gate.edge_threshold": 0.01, "gate.rule_threshold": 0.0}
    poor = judged(store, **{"train.updates": 150, "train.seed": 7}, **loose)
    failed = judged(store, **{"train.updates": 60})
    other = judged(store, **{"train.seed": 3})
    return root, {"first": first, "other": other, "poor": poor, "failed": failed}


@pytest.fixture
def root(three, tmp_path):
    shutil.copytree(three[0], tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def ids(three):
    return three[1]


def code_of(call, *arguments, **named):
    with pytest.raises(GateError) as refused:
        call(*arguments, **named)
    return refused.value.code


def test_a_challenger_no_worse_takes_the_place_and_both_are_in_history_and_receipt(root, ids):
    store = Store(root / "store")
    first = promote(store, RECIPE, ids["first"])
    assert first.moved and champion(store, RECIPE).checkpoint == ids["first"]
    second = promote(store, RECIPE)
    assert champion(store, RECIPE).checkpoint == ids["other"]
    rows = second.promotion.document["comparison"]
    assert rows and all(row["champion"] is not None and not row["worse"] for row in rows)
    assert second.promotion.document["how"] == "both were judged by the same registration"
    receipt = read_receipt(store.root / store.pointer(f"{RECIPE}/promoted_checkpoint")["receipt"])
    assert receipt.arguments["champion"]["checkpoint"] == ids["first"]
    assert ids["other"] in {parent.id for parent in receipt.parents}
    assert [entry.checkpoint for entry in history(store, RECIPE)] == [ids["other"], ids["first"]]
    assert not promote(store, RECIPE).moved and len(list(history(store, RECIPE))) == 2


def test_one_that_passed_a_looser_gate_is_compared_under_its_own_registration_and_refused(root, ids):
    store = Store(root / "store")
    assert promote(store, RECIPE, ids["poor"]).moved, "it did pass its own gate"
    promote(store, RECIPE, ids["first"])
    with pytest.raises(GateError) as refused:
        promote(store, RECIPE, ids["poor"])
    assert refused.value.code == "PROMOTE_WORSE" and "rule_compliance" in str(refused.value)
    assert champion(store, RECIPE).checkpoint == ids["first"]
    again = promote(store, RECIPE, ids["poor"], without_comparison="a test")
    assert again.promotion.document["how"] == "a test"
    _, how = contest(store, find_challenger(store, RECIPE, ids["first"]), champion(store, RECIPE))
    assert how == "the champion was judged again by the challenger's registration"


def test_a_failed_gate_a_broken_ancestor_and_a_withdrawn_one_are_refused_and_nothing_moves(root, ids):
    store = Store(root / "store")
    assert code_of(promote, store, RECIPE, ids["failed"]) == "PROMOTE_GATE"
    assert code_of(promote, store, RECIPE, ids["failed"], without_comparison="because") == "PROMOTE_GATE"
    assert code_of(promote, store, RECIPE, "sha256:" + "0" * 64) == "PROMOTE_NOT_JUDGED"
    write_tombstone(store.root, {"records": [], "learners": "keep", "marked": [ids["other"]]})
    assert code_of(promote, store, RECIPE) == "PROMOTE_WITHDRAWN"
    source = store.pointed("text/raw_slice/stdlib-0").file("records.parquet")
    source.write_bytes(source.read_bytes()[:-1] + b"?")
    assert code_of(promote, store, RECIPE, ids["first"]) == "PROMOTE_LINEAGE"
    assert champion(store, RECIPE) is None and not shelf(store, RECIPE).exists()


def test_a_champion_on_withdrawn_records_gives_way_to_whatever_passes_its_gate(root, ids):
    store = Store(root / "store")
    promote(store, RECIPE, ids["first"])
    write_tombstone(store.root, {"records": [], "learners": "keep", "marked": [ids["first"]]})
    assert "withdrawn" in promote(store, RECIPE, ids["poor"]).promotion.document["how"]
    assert code_of(roll_back, store, RECIPE, "a test") == "PROMOTE_WITHDRAWN"


def test_rollback_by_the_command_moves_name_and_folder_and_says_why(root, ids):
    for arguments in (("--checkpoint", ids["first"]), (), ("--rollback", "--reason", "too slow")):
        result = stemma(root, "promote", RECIPE, "--json", *arguments)
        assert result.returncode == 0, result.stderr
    told, store = json.loads(result.stdout), Store(root / "store")
    assert told["checkpoint"] == ids["first"] and told["how"] == "rolled back: too slow" and told["number"] == 3
    card = (Path(told["folder"]) / "README.md").read_text()
    assert ids["first"] in card and ids["other"] not in card
    with dg.DagsterInstance.from_config(str(root)) as instance:
        seen = instance.fetch_materializations(dg.AssetKey([RECIPE, "promoted_checkpoint"]), limit=9).records
    pointed = store.pointer(f"{RECIPE}/promoted_checkpoint")["snapshot"]
    assert len(seen) == 3 and seen[0].asset_materialization.tags["dagster/data_version"] == pointed
    assert stemma(root, "promote", RECIPE, "--history").stdout.count("\n") == 3
    verified = stemma(root, "verify", f"{RECIPE}/promoted_checkpoint")
    assert verified.returncode == 0, verified.stdout
    refused = stemma(root, "promote", RECIPE, "--checkpoint", ids["failed"])
    assert refused.returncode == 1 and "[PROMOTE_GATE]" in refused.stderr
    assert champion(store, RECIPE).checkpoint == ids["first"]


def killed_at(moment, store, checkpoint_id):
    """Whether a promotion in a process of its own was killed as it made its rename number ``moment``."""
    if (child := os.fork()) == 0:
        replace, made = os.replace, iter(range(moment))

        def rename(*arguments):
            if next(made, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(*arguments)

        os.replace = rename
        promote(store, RECIPE, checkpoint_id)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
    return status != 0


def test_the_folder_is_complete_at_every_moment_of_a_promotion_that_is_killed(root, ids):
    store = Store(root / "store")
    promote(store, RECIPE, ids["first"])
    current = shelf(store, RECIPE) / CURRENT
    whole = {path.name for path in current.iterdir()}
    for moment in range(50):
        killed = killed_at(moment, store, ids["other"])
        assert {path.name for path in current.iterdir()} == whole
        assert os.readlink(current) in {key.removeprefix("sha256:")[:16] for key in (ids["first"], ids["other"])}
        if not killed:
            break
    assert moment >= 4 and champion(store, RECIPE).checkpoint == ids["other"]
    assert len(list(history(store, RECIPE))) == 2 and os.readlink(current) in ids["other"]


def test_the_asset_asks_the_same_and_fails_with_the_reason(root, ids, monkeypatch):
    from pipeline_defs.definitions import defs

    monkeypatch.setenv("STEMMA_ROOT", str(root))
    job, store = defs.resolve_implicit_global_asset_job_def(), Store(root / "store")
    key = dg.AssetKey([RECIPE, "promoted_checkpoint"])
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, asset_selection=[key])
        (made,) = result.asset_materializations_for_node(f"{RECIPE}__promoted_checkpoint")
        assert made.metadata["checkpoint"].value == ids["other"] and made.metadata["moved"].value is True
        judged(store, **{"train.updates": 60})
        result = job.execute_in_process(instance=instance, asset_selection=[key], raise_on_error=False)
        (failure,) = [event for event in result.all_events if event.is_step_failure]
        assert "[PROMOTE_GATE]" in str(failure.step_failure_data.error)
    assert champion(store, RECIPE).checkpoint == ids["other"]


def row(value, interval=None, direction="above", name="x"):
    return {"name": name, "value": value, "interval": interval, "direction": direction}


@pytest.mark.parametrize(
    ("champion_row", "challenger_row", "worse"),
    [
        (row(0.9, [0.8, 0.95]), row(0.81), False),
        (row(0.9, [0.8, 0.95]), row(0.79), True),
        (row(0.9), row(0.89), True),
        (row(2.0, [1.9, 2.1], "below"), row(2.05, direction="below"), False),
        (row(2.0, [1.9, 2.1], "below"), row(2.11, direction="below"), True),
        (row(None), row(0.5), True),
    ],
)
def test_worse_is_beyond_the_champions_interval_on_the_wrong_side(champion_row, challenger_row, worse):
    assert [found["worse"] for found in compare([champion_row], [challenger_row])] == [worse]


def test_what_only_one_of_them_measured_cannot_be_compared():
    found = compare([row(0.9)], [row(0.9, name="y")])
    assert [entry["worse"] for entry in found] == [True, True]
