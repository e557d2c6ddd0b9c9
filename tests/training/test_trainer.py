"""One line of Python, one command, and the assets' stages: the same code, also where Dagster and Polars are missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assets_data.lineage import ConfigError, DataError, Store
from tests.training.recipes.walk_lm.conftest import TINY, tiny
from tests.training.walks import make_inputs
from training.__main__ import main
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
