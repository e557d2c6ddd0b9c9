"""One model on 1, 2 and 4 gloo processes: the same bits, whichever it is."""

import hashlib
import re

import pytest

from assets_data.lineage import Store
from tests.training.parallel.launch import last_state, launch
from tests.training.recipes.walk_lm.conftest import TINY
from tests.training.walks import make_inputs
from training.parallel.world import joined


def outcome(folder):
    """All that must be bit-equal: weights, optimizer, generators, history, cursor."""
    state = last_state(folder)
    history = hashlib.sha256((folder / "metrics.jsonl").read_bytes()).hexdigest()
    return {**state["files"], "history": history, **{k: state[k] for k in ("checkpoint_id", "update", "inexact")}}


@pytest.mark.parametrize(("recipe", "worlds"), [("toy", [1, 2, 4]), ("walk_lm", [1, 2]), ("hrm_lm", [1, 2])])
def test_every_number_of_processes_makes_one_checkpoint(tmp_path, recipe, worlds):
    for world in worlds:
        done = launch(world, "tests.training.parallel.driver", recipe, tmp_path / str(world), "train.lanes=4")
        assert done.returncode == 0, done.stderr
    outcomes = [outcome(tmp_path / str(world)) for world in worlds]
    assert all(found == outcomes[0] for found in outcomes)
    assert last_state(tmp_path / "2")["report"]["parallel"] == {"strategy": "ddp", "world": 2, "backend": "gloo"}
    assert [path.name for path in (tmp_path / "2" / "ranks").iterdir()] == ["1"]
    assert not (tmp_path / "2" / "ranks" / "1" / "metrics.jsonl").read_bytes()


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
        again = launch(world, "training", *options)
        assert again.returncode == 0 and "already complete" in again.stdout
    assert ids[0] == ids[1]


def test_an_error_of_rank_0_ends_every_process(tmp_path):
    done = launch(2, "tests.training.parallel.driver", "toy", tmp_path / "run", "train.lanes=1")
    assert done.returncode == 1 and done.stderr.count("[LANES_WORLD]") == 2


@pytest.mark.parametrize(("size", "strategy"), [("3", None), ("2", "none"), ("1", "ddp")])
def test_a_world_that_does_not_fit_its_strategy_is_refused(monkeypatch, size, strategy):
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(Exception, match="PARALLEL_WORLD"), joined(strategy):
        pass
