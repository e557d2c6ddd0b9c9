"""One model on 1, 2 and 4 gloo processes: the same bits, whichever it is, and after a change of their number."""

import re

import pytest

from assets_data.lineage import ConfigError, Store
from assets_data.lineage.receipts.reader import read_receipt
from tests.training.parallel.launch import drive, last_state, launch, outcome
from tests.training.recipes.walk_lm.conftest import TINY
from tests.training.walks import make_inputs
from training.parallel.world import joined


@pytest.mark.parametrize(
    ("recipe", "plans"),
    [
        ("toy_odd", ["1", "2", "4", "2f", "4f", "2fk1u5,1"]),
        ("toy", ["1", "2", "4", "4k1u5,2k0u8,1", "2f", "4f", "4fk1u5,2k0u8,2f", "2b", "2fb"]),
        ("walk_lm", ["1", "2", "2k1u20,1", "2f", "2fk1u20,1"]),
        ("hrm_lm", ["1", "2", "4k3u20,2", "2f"]),
    ],
)
def test_every_number_of_processes_makes_one_checkpoint_also_when_it_changes(tmp_path, recipe, plans):
    statuses = drive(tmp_path, plans, recipe)
    assert all(codes[-1] == [0] * len(codes[-1]) for codes in statuses.values())
    outcomes = [outcome(tmp_path / plan) for plan in plans]
    assert outcomes[0]["inexact"] == [] and all(found == outcomes[0] for found in outcomes)
    facts = {"strategy": "ddp", "reduction": "exact", "world": 2, "backend": "gloo"}
    assert last_state(tmp_path / "2")["report"]["parallel"] == facts
    assert last_state(tmp_path / "2f")["report"]["parallel"] == {**facts, "strategy": "fsdp"}
    assert {name.split(".")[1] for name in last_state(tmp_path / "2f")["shards"]} == {"0", "1"}
    assert [path.name for path in (tmp_path / "2" / "ranks").iterdir()] == ["1"]
    assert not (tmp_path / "2" / "ranks" / "1" / "metrics.jsonl").read_bytes()


def test_lanes_without_an_item_add_nothing_or_are_refused_where_their_pass_must_be_made(tmp_path):
    statuses = drive(tmp_path, ["1", "2", "4", "2f"], "toy_sparse")
    assert statuses["1"] == [[0]] and statuses["2"] == [[0, 0]] and statuses["4"] == [[0] * 4]
    assert outcome(tmp_path / "2") == outcome(tmp_path / "4") == outcome(tmp_path / "1")
    assert sorted(statuses["2f"][0]) in ([1, 1], [1, 75])


def test_a_weight_that_only_lanes_without_an_item_reach_is_moved_alike_by_every_number_of_processes(tmp_path):
    drive(tmp_path, plans := ["1", "2", "2f"], "toy_rare")
    outcomes = [outcome(tmp_path / plan) for plan in plans]
    assert outcomes[0]["inexact"] == [] and all(found == outcomes[0] for found in outcomes)


def test_fast_sums_promise_equal_bits_for_one_number_of_processes(tmp_path):
    statuses = drive(tmp_path, ["4", "4@again", "4k2u5,4", "4k2u5,2"], reduction="fast")
    assert statuses["4k2u5,2"] == [[75, 75, -9, 75], [0, 0]]
    assert outcome(tmp_path / "4@again") == outcome(tmp_path / "4k2u5,4") == outcome(tmp_path / "4")
    assert outcome(tmp_path / "4")["inexact"] == []
    assert outcome(tmp_path / "4k2u5,2")["inexact"] == ["world changed from 4 to 2"]
    assert last_state(tmp_path / "4")["report"]["parallel"]["reduction"] == "fast"


def test_the_command_publishes_one_checkpoint_on_rank_0(tmp_path):
    ids = []
    for world in (1, 2):
        store = Store(tmp_path / str(world))
        for kind, snapshot in make_inputs(store, train=40).items():
            store.point(f"text/{'dataset_manifest' if kind == 'manifest' else kind}", snapshot)
        settings = [f"--set={name}={value}" for name, value in {**TINY, "train.lanes": 4}.items()]
        options = ["--recipe", "walk_lm", "--store", store.root, "--preset", "smoke", "--skip-gate", *settings]
        done = launch(world, "training", *options)
        assert done.returncode == 0, done.stderr
        said = re.findall(r"walk_lm/checkpoint (sha256:\w{64}) \(trained\)", done.stdout)
        assert [store.pointed("walk_lm/checkpoint").id] == said
        ids += said
        [receipt] = map(read_receipt, store.receipts(said[0]))
        assert receipt.environment.get("parallel", {}).get("world", 1) == world
    assert ids[0] == ids[1]
    again = launch(2, "training", *options)
    assert again.returncode == 0 and "already complete" in again.stdout


UNFIT = [
    ("0", None, "exact"),
    ("3", None, "exact"),
    ("2", "none", "exact"),
    ("1", "ddp", "exact"),
    ("1", "fsdp", "exact"),
    ("2", "fsdp", "fast"),
]


@pytest.mark.parametrize(("size", "strategy", "reduction"), UNFIT)
def test_a_world_that_does_not_fit_its_strategy_is_refused(monkeypatch, size, strategy, reduction):
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(ConfigError, match="PARALLEL_WORLD"), joined(strategy, reduction):
        pass


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE"),
        ({"WORLD_SIZE": "2"}, "RANK"),
        ({"WORLD_SIZE": "2", "RANK": "1"}, "MASTER_PORT"),
        ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": "29500"}, "MASTER_ADDR"),
    ],
    ids=str,
)
def test_what_no_launcher_says_is_refused_by_the_name_of_the_variable(monkeypatch, said, asked):
    for name in ("RANK", "MASTER_PORT", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=rf"PARALLEL_ENVIRONMENT.*{asked}.*torchrun"), joined():
        pass
