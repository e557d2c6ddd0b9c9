"""One line of Python, one command, and the assets' stages: the same code, also where Dagster and Polars are missing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assets_data.lineage import ConfigError, DataError, Store
from tests.training.recipes.walk_lm.conftest import TINY, tiny
from tests.training.walks import make_inputs
from training.__main__ import main
from training.callbacks import Callback
from training.checkpoint import read_state, stored
from training.config import save_config
from training.recipe import discover
from training.stages import make_checkpoint, make_preflight_report
from training.trainer import Trainer, train
from training.training_state import publish_state

ROOT = Path(__file__).parents[2]
SETTINGS = [option for field, value in TINY.items() for option in ("--set", f"{field}={json.dumps(value)}")]
ABSENT = ("dagster", "polars", "pandera", "matplotlib", "pytorch_optimizer", "tokenizers", "zstandard", "numba")
BARE = f"""
import runpy, sys
from importlib.machinery import PathFinder

def find_spec(name, path=None, target=None, found=PathFinder.find_spec):
    return None if name.split(".")[0] in {ABSENT!r} else found(name, path, target)

PathFinder.find_spec = staticmethod(find_spec)
sys.argv[0] = "python -m training"
"""
TRAIN = BARE + 'runpy.run_module("training", run_name="__main__")'


@pytest.fixture
def manifest(store):
    """What walk_lm reads stands under the names it reads by default; the manifest is returned."""
    inputs = make_inputs(store)
    for snapshot in inputs.values():
        store.point(snapshot.kind, snapshot)
    return inputs["manifest"]


def command(store, *options):
    return ["--recipe", "walk_lm", "--store", str(store.root), "--preset", "smoke", *SETTINGS, *options]


def test_train_is_one_line_and_gives_the_checkpoint_the_stages_give(store, manifest, tmp_path):
    trainer = train("walk_lm", "text/dataset_manifest", store=store.root, preset="smoke", overrides=TINY)
    other = Store(tmp_path / "other")
    recipe, data = discover()["walk_lm"], make_inputs(other)
    preflight = make_preflight_report(other, recipe, data, trainer.config)
    assert make_checkpoint(other, recipe, data, preflight).id == trainer.checkpoint.id
    assert store.pointed("walk_lm/checkpoint").id == trainer.checkpoint.id
    result = trainer.evaluate()
    assert result["metadata"]["checkpoint"] == trainer.checkpoint.id and result["gate"]["verdict"] == "fail"


def test_the_runtime_profile_is_of_the_training(store, manifest):
    profile = Trainer("walk_lm", manifest, store=store, config=tiny()).runtime_profile()
    assert profile["updates"] == 8 and 0 < profile["time_to_first_update_s"] < profile["elapsed_s"]
    assert profile["updates_per_s"] > 0 and 0 < profile["data_wait_s"] < profile["elapsed_s"]


def test_a_manifest_is_found_by_id_and_by_name(store, manifest):
    for named in (manifest.id, manifest.id.removeprefix("sha256:"), "text/dataset_manifest"):
        assert Trainer("walk_lm", named, store=store, preset="smoke").inputs["manifest"].id == manifest.id
    with pytest.raises(DataError):
        Trainer("walk_lm", "text/nothing", store=store, preset="smoke")
    with pytest.raises(ConfigError, match="walk_lm"):
        Trainer("walk_ml", manifest, store=store)


def test_a_complete_run_says_so_and_exits_0(store, manifest, capsys):
    assert main(command(store, "--skip-gate")) == 0
    assert "(trained)" in capsys.readouterr().out
    assert main(command(store, "--skip-gate")) == 0
    assert "(already complete)" in capsys.readouterr().out
    assert main(command(store)) == 1  # eight updates pass no gate
    assert "gate: fail" in capsys.readouterr().out


def test_a_saved_config_trains_the_same_checkpoint(store, manifest, tmp_path, capsys):
    save_config(tiny(), tmp_path / "config.json")
    options = [
        "--recipe",
        "walk_lm",
        "--store",
        str(store.root),
        "--config",
        str(tmp_path / "config.json"),
        "--skip-gate",
    ]
    assert main(options) == 0
    expected = Trainer("walk_lm", manifest, store=store, config=tiny()).train()
    assert expected.reused and expected.id in capsys.readouterr().out
    assert main([*options, "--set", "train.seed=5"]) == 0
    assert expected.id not in capsys.readouterr().out


def test_errors_are_one_line_and_status_1(store, manifest, capsys):
    assert main(command(store, "--set", "train.learning_rate=1")) == 1
    assert "CONFIG_UNKNOWN_KEY" in capsys.readouterr().err


def test_a_branch_is_another_node_whose_receipt_names_the_origin(store, manifest):
    trainer = train("walk_lm", manifest, store=store, config=tiny())
    run_id = trainer.checkpoint.read_json("training.json")["run_id"]
    origin = publish_state(store, stored(store.run_dir(run_id) / "checkpoints")[0])
    branched = Trainer("walk_lm", manifest, store=store, config=tiny())
    checkpoint = branched.train(origin)
    assert checkpoint.id == trainer.checkpoint.id  # the same rows and config: the same weights
    build = json.loads(checkpoint.receipt.read_text())["predicate"]["buildDefinition"]
    read = {entry["name"]: entry["digest"].get("sha256") for entry in build["resolvedDependencies"]}
    assert f"sha256:{read['origin=walk_lm/training_state']}" == origin.id
    assert checkpoint.receipt != trainer.checkpoint.receipt
    runs = {path.name for path in (store.root / "runs").iterdir()}
    assert len(runs) == 2
    branch = next(store.root / "runs" / name for name in runs - {run_id})
    assert read_state(stored(branch / "checkpoints")[-1])["fingerprint"]["origin"]["update"] == 4


@pytest.mark.parametrize("given", ["a run's folder", "a name", "an id"])
def test_the_command_begins_from_a_run_or_from_what_was_published(store, manifest, capsys, given):
    first = train("walk_lm", manifest, store=store, config=tiny()).checkpoint
    run = store.run_dir(first.read_json("training.json")["run_id"])
    named = {"a run's folder": str(stored(run / "checkpoints")[0]), "a name": "walk_lm/checkpoint", "an id": first.id}
    options = command(store, "--skip-gate", "--branch-from", named[given], "--reset-progress")
    assert main([*options, "--set", "train.updates=5"]) == 0
    child = store.pointed("walk_lm/checkpoint")
    assert child.id in capsys.readouterr().out and child.id != first.id
    build = json.loads(child.receipt.read_text())["predicate"]["buildDefinition"]
    (origin,) = [entry["name"] for entry in build["resolvedDependencies"] if entry["name"].startswith("origin=")]
    assert origin == f"origin=walk_lm/{'training_state' if given[:5] == 'a run' else 'checkpoint'}"
    assert child.read_json("training.json")["updates"] == 5


class Counts(Callback):
    """Looks on: which hooks fired, after how many updates."""

    def __init__(self):
        self.begun, self.ended, self.updates, self.closed = 0, 0, [], 0

    def train_begin(self, run):
        self.begun += 1

    def step_end(self, run):
        self.updates.append(run.update)

    def train_end(self, run):
        self.ended += 1

    def close(self):
        self.closed += 1

    def state(self):
        return {"seen": len(self.updates)}


def test_callbacks_look_on_and_are_no_part_of_any_identity(store, manifest, tmp_path):
    make_preflight_report(store, discover()["walk_lm"], make_inputs(store), tiny())
    shutil.copytree(store.root, tmp_path / "other")  # a receipt names those of what was read
    looker = Counts()
    watched = Trainer("walk_lm", manifest, store=store, config=tiny()).train(callbacks=[looker])
    assert (looker.begun, looker.ended, looker.updates, looker.closed) == (1, 1, list(range(1, 9)), 1)
    other = Store(tmp_path / "other")
    alone = train("walk_lm", store=other, config=tiny(), inputs=make_inputs(other)).checkpoint
    assert watched.id == alone.id
    facts = [checkpoint.read_json("training.json") for checkpoint in (watched, alone)]
    assert facts[0]["run_id"] == facts[1]["run_id"]
    builds = [json.loads(c.receipt.read_text())["predicate"]["buildDefinition"] for c in (watched, alone)]
    assert builds[0] == builds[1]


def test_of_a_checkpoint_that_is_reused_callbacks_see_nothing(store, manifest):
    train("walk_lm", manifest, store=store, config=tiny())
    looker = Counts()
    again = train("walk_lm", manifest, store=store, config=tiny(), callbacks=[looker])
    assert again.checkpoint.reused and looker.begun == looker.closed == 0


def test_a_callback_that_fails_stops_the_run_which_then_resumes_to_the_same_bits(store, manifest, tmp_path):
    class Failing(Counts):
        def step_end(self, run):
            if run.update == 5:
                raise RuntimeError("the looker fell over")

    trainer = Trainer("walk_lm", manifest, store=store, config=tiny())
    with pytest.raises(RuntimeError, match="fell over"):
        trainer.train(callbacks=[Failing()])
    looker = Counts()
    resumed = trainer.train(callbacks=[looker])
    assert looker.updates == [5, 6, 7, 8]  # from the checkpoint of update 4
    other = Store(tmp_path / "other")
    assert resumed.id == train("walk_lm", store=other, config=tiny(), inputs=make_inputs(other)).checkpoint.id


def test_a_callback_cannot_take_the_name_of_one_that_every_run_has(store, manifest):
    """What the run's own keeps in a checkpoint under that name would be lost, and with it the run's patience."""
    for name in ("Best", "Checkpoints"):
        with pytest.raises(ConfigError) as caught:
            train("walk_lm", manifest, store=store, config=tiny(), callbacks=[type(name, (Callback,), {})()])
        assert caught.value.code == "CALLBACK_NAME" and name in str(caught.value)


@pytest.mark.parametrize("recipe", ["walk_lm", "hrm_lm"])
def test_a_preset_that_the_recipe_lacks_is_refused_before_anything_is_written(store, recipe, capsys):
    with pytest.raises(ConfigError) as caught:
        Trainer(recipe, store=store, preset="huge")
    assert "huge" in str(caught.value) and "smoke" in str(caught.value)
    assert main(["--recipe", recipe, "--store", str(store.root), "--preset", "huge"]) == 1
    assert "smoke" in capsys.readouterr().err and not store.root.exists()


def test_python_raises_every_issue_of_a_preflight_at_once(store, manifest):
    wrong = {"model.context": 8, "gate.prompt_tokens": 6, "train.device": "auto", "train.require_accelerator": True}
    with pytest.raises(ConfigError) as caught:
        train("walk_lm", manifest, store=store, config=tiny(**wrong))
    assert caught.value.code == "PREFLIGHT_NOT_OK"
    assert all(code in str(caught.value) for code in ("WALK_LM_CONTEXT_CEILING", "ACCELERATOR_MISSING"))


def bare(program, *arguments):
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_on_a_bare_machine_the_command_trains_the_same_checkpoint(store, manifest):
    """Without dagster, polars and everything else that training does not need; they would fail to import."""
    done = bare(TRAIN, *command(store))
    assert "gate: fail" in done.stdout and "Traceback" not in done.stderr, done.stderr
    expected = Trainer("walk_lm", manifest, store=store, preset="smoke", overrides=TINY).train()
    assert expected.id in done.stdout and expected.reused


def test_the_bare_machine_of_these_tests_really_lacks_its_packages():
    look = f"print([name for name in {('torch', *ABSENT)!r} if PathFinder.find_spec(name)])"
    assert bare(BARE + look).stdout.strip() == "['torch']"
