"""What every folder under ``training/recipes`` must keep. A new recipe is held to it by being there."""

import ast
import dataclasses
import json
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import dagster as dg
import pytest
import torch

from assets_data.lineage import ConfigError, with_overrides
from assets_data.lineage.receipts.code import ROOT
from pipeline_defs.commands.chain import plan_chain
from pipeline_defs.commands.cli import main
from pipeline_defs.definitions import defs
from tests.chain import stemma
from tests.training.parallel.launch import launch
from training.callbacks import Callback
from training.checkpoint import read_state, stored
from training.config import TrainConfig, save_config
from training.loop import train
from training.parallel.world import World
from training.recipe import STAGES, discover
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

RECIPES = discover()
FOLDER = ROOT / "training" / "recipes"
THREE_UPDATES = {
    "train.updates": 3,
    "train.batch_rows": 4,
    "train.schedule.warmup": 0,
    "train.checkpoint_every": 1,
    "train.log_every": 1,
    "train.monitor_every": 0,
    "train.validate_every": 0,
    "train.max_val_samples": 8,
    "train.threads": 1,
    "train.device": "cpu",
}
HEAVY = {"torch", "polars", "pandera", "dagster", "tokenizers", "matplotlib", "numba", "pytorch_optimizer"}


@pytest.fixture(params=sorted(RECIPES))
def recipe(request):
    return RECIPES[request.param]


@pytest.fixture
def config(recipe):
    return with_overrides(recipe.presets["smoke"](), THREE_UPDATES)


@pytest.fixture
def store(recipe, make_inputs):
    return make_inputs(recipe)[0]


@pytest.fixture
def inputs(recipe, make_inputs):
    return make_inputs(recipe)[1]


@pytest.fixture
def data(recipe, config, store, inputs):
    return recipe.open_data(store, inputs, config)


class Interrupt(Exception):
    pass


class StopAt(Callback):
    def __init__(self, update):
        self.update = update

    def step_end(self, run):
        if run.update == self.update:
            raise Interrupt


def outcome(directory):
    """Digests of everything that must be bit-equal: tensors, optimizer, generators, history, callbacks."""
    state = read_state(stored(directory / "checkpoints")[-1])
    return state["files"], state["callbacks"], (directory / "metrics.jsonl").read_bytes()


def test_finding_the_recipes_imports_no_heavy_library():
    code = f"import sys; from training.recipe import discover; discover(); print(*({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and done.stdout.split() == [], done.stdout + done.stderr


def test_three_updates_on_the_cpu_train_the_model_that_the_config_describes(recipe, config, data, tmp_path):
    torch.manual_seed(0)
    run = train(recipe, config, data, tmp_path, code="c")
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 3 and all(0 < loss < 1000 for loss in losses)  # nats, or a weighted sum of errors
    inputs = recipe.model_inputs(data, config)
    shapes = {name: p.shape for name, p in recipe.build_model(config, inputs).named_parameters()}
    assert {name: p.shape for name, p in run.model.named_parameters()} == shapes
    json.dumps(dict(inputs), allow_nan=False)


def test_a_fresh_model_is_drawn_from_torchs_generator_alone(recipe, config, data):
    inputs = recipe.model_inputs(data, config)

    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in recipe.build_model(config, inputs).parameters()])

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("update", [1, 2])
def test_a_run_cut_off_ends_bit_equal(recipe, config, data, tmp_path, update):
    train(recipe, config, data, tmp_path / "calm", code="c")
    with pytest.raises(Interrupt):
        train(recipe, config, data, tmp_path / "cut", code="c", callbacks=[StopAt(update)])
    train(recipe, config, data, tmp_path / "cut", code="c")
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "calm")


def test_accumulation_gives_the_same_updates_to_float_tolerance(recipe, config, data, tmp_path):
    accumulated = with_overrides(config, {"train.accumulation": 2})
    whole = train(recipe, config, data, tmp_path / "whole", code="c").model.state_dict()
    parts = train(recipe, accumulated, data, tmp_path / "parts", code="c").model.state_dict()
    assert all(torch.allclose(whole[name].float(), parts[name].float(), atol=2e-4) for name in whole)


def test_batches_made_ahead_by_a_thread_change_no_bit(recipe, config, data, tmp_path):
    train(recipe, config, data, tmp_path / "calm", code="c")
    train(recipe, config, data, tmp_path / "ahead", code="c", world=World(ahead=2))
    assert outcome(tmp_path / "ahead") == outcome(tmp_path / "calm")


def test_lanes_give_the_same_updates_to_float_tolerance(recipe, config, data, tmp_path):
    lanes = with_overrides(config, {"train.lanes": 2})
    whole = train(recipe, config, data, tmp_path / "whole", code="c").model.state_dict()
    parts = train(recipe, lanes, data, tmp_path / "parts", code="c").model.state_dict()
    assert all(torch.allclose(whole[name].float(), parts[name].float(), atol=2e-4) for name in whole)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_make_the_checkpoint_of_one(recipe, config, data, make_inputs, tmp_path, strategy):
    store, inputs = make_inputs(recipe)
    lanes = with_overrides(config, {"train.lanes": 2})
    save_config(lanes, tmp_path / "config.json")
    given = [f"--input={name}={snapshot.id}" for name, snapshot in inputs.items()]
    options = ["--recipe", recipe.name, "--store", store.root, "--config", tmp_path / "config.json", "--skip-gate"]
    options += ["--parallel", strategy]
    done = launch(2, "training", *options, *given)
    assert done.returncode == 0, done.stderr
    alone = train(recipe, lanes, data, tmp_path / "alone", code="c")
    facts = store.pointed(f"{recipe.name}/checkpoint").read_json("training.json")
    parallel = facts["environment"]["parallel"]
    assert (parallel["world"], parallel["strategy"]) == (2, strategy)
    assert facts["checkpoint_id"] == read_state(alone.final)["checkpoint_id"]


def test_the_training_rows_keys_are_those_of_the_tables(recipe, data, store):
    from training.order import table_keys

    for table in data.tables:
        assert table.snapshot in data.members.values()
    keys = [
        table_keys(store.snapshot(table.snapshot).table(table.file)["row_key"].to_numpy(), table.chunks)
        for table in data.tables
    ]
    assert [key for part in keys for key in part.tolist()] == data.row_keys.tolist()
    assert data.validation is not None and not set(data.validation.row_keys.tolist()) & set(data.row_keys.tolist())


def test_the_three_stages_publish_judge_and_use_no_pickle(recipe, config, store, inputs):
    preflight = make_preflight_report(store, recipe, inputs, config)
    assert preflight.read_json("registration.json")["ok"], preflight.read_json("preflight.json")["issues"]
    checkpoint = make_checkpoint(store, recipe, inputs, preflight)
    report = make_gate_report(store, recipe, inputs, preflight, checkpoint)
    result = report.read_json("result.json")
    assert result["gate"]["verdict"] in ("pass", "fail", "undetermined") and result["gate"]["criteria"]
    assert result["metadata"]["checkpoint"] == checkpoint.id and len(result["summary"]) > 1
    run = store.root / "runs" / result["metadata"]["run_id"]
    written = [path for folder in (checkpoint.path, report.path, preflight.path, run) for path in folder.rglob("*.*")]
    kinds = {path.suffix for path in written if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".jsonl", ".log", ".arrow", ".parquet"}
    assert not [
        path for path in written if path.is_file() and path.read_bytes()[:2] in (b"PK", b"\x80\x02", b"\x80\x04")
    ]


def leaves(cls, skip=(TrainConfig,)):
    """Every field of a config class and the classes it nests, the training run's own left out."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from leaves(hints[field.name], skip) if hints[field.name] not in skip else ()
        else:
            yield field


def test_every_field_of_a_recipes_own_config_is_documented_and_read_in_its_folder(recipe):
    owners = [
        cls.__module__.split(".") for cls in type(recipe).__mro__ if cls.__module__.startswith("training.recipes.")
    ]
    folders = [FOLDER / parts[2] for parts in owners]
    folders += [ROOT / "training" / "tokens"]  # a gate derived from the shared one is read there
    sources = [p for folder in folders for p in folder.glob("*.py") if p.name not in ("config.py", "presets.py")]
    read = {
        node.attr
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    found = list(leaves(recipe.config_type))
    assert found and [field.name for field in found if field.name not in read] == []
    assert [field.name for field in found if not field.metadata.get("doc")] == []


def test_a_recipe_appears_as_three_assets_with_blocking_checks_and_its_presets_run_by_name(recipe):
    graph = defs.resolve_asset_graph()
    for stage, check in zip(STAGES, ("no_errors", "loads_and_rehashes", "gate"), strict=True):
        key = dg.AssetKey([recipe.name, stage])
        assert key in graph.get_all_asset_keys()
        assert graph.get(dg.AssetCheckKey(key, check)).blocking
    for preset in recipe.presets:
        chosen = plan_chain(recipe.name, preset, {}).ops[f"{recipe.name}__preflight_report"]["config"]
        assert chosen["preset"] == preset


def test_a_preset_that_the_recipe_lacks_is_refused_before_anything_runs(recipe, tmp_path, monkeypatch, capsys):
    """Also one that other stages of the chain have, which would do for those."""
    others = {name for stage in plan_chain(recipe.name, "smoke", {}).stages for name in stage.presets or {}}
    lacking = sorted({"no_such_preset", *others} - set(recipe.presets))
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    for preset in lacking:
        with pytest.raises(ConfigError) as caught:
            plan_chain(recipe.name, preset, {})
        assert caught.value.code == "CHAIN_UNKNOWN_PRESET" and preset in str(caught.value)
        assert all(name in str(caught.value) for name in recipe.presets)
        assert main(["run", "--recipe", recipe.name, "--preset", preset]) == 1
        assert "CHAIN_UNKNOWN_PRESET" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()


def test_a_run_that_its_preflight_stops_says_every_issue(finished_chain, tmp_path):
    """As Python raises them, errors before warnings; the data stages are there already."""
    shutil.copytree(finished_chain, tmp_path / "root")
    wrong = {"train.updates": 30, "train.accumulation": 5, "model.width": 30, "gate.rule_threshold": 1.0}
    settings = [part for field, value in wrong.items() for part in ("--set", f"walk_lm.{field}={value}")]
    done = stemma(tmp_path / "root", "run", "--preset", "smoke", *settings)
    failure = done.stderr[done.stderr.index("FAILED") :]
    named = ("train.schedule.warmup", "train.accumulation", "model.width", "gate.rule_threshold")
    assert done.returncode == 1 and [path for path in named if path not in failure] == []
    assert "no_errors failed" in failure and "Traceback" not in done.stderr


def test_no_recipe_is_named_in_the_loop_the_factory_or_the_definitions():
    """The command alone names one: the recipe of a run that asks for none, and examples in its help."""
    shared = [*(ROOT / "training").glob("*.py"), *(ROOT / "training" / "callbacks").glob("*.py")]
    shared += [path for path in (ROOT / "pipeline_defs").rglob("*.py") if "templates" not in path.parts]
    for path in [path for path in shared if path.name not in ("cli.py", "lineage.py")]:
        code = ast.unparse(_without_docstrings(ast.parse(path.read_text())))
        assert [name for name in RECIPES if name in code] == [], path


def _without_docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def test_every_recipe_lives_in_its_folder_and_nowhere_else():
    assert sorted(RECIPES) == sorted(path.parent.name for path in Path(FOLDER).glob("*/__init__.py"))
