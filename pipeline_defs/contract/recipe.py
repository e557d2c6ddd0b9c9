"""What a recipe promises, tried with three updates: exact continuation, order, members, and its three stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assets_data.documents import read_registration, read_result
from assets_data.domain import MANIFEST
from assets_data.lineage import Snapshot, StemmaError, Store, with_overrides
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.stage import load
from pipeline_defs.catalogue import catalogue
from pipeline_defs.commands.runs import ChainFailure
from pipeline_defs.contract.continuation import continuation_problems
from pipeline_defs.contract.declarations import stage_declarations
from pipeline_defs.contract.replays import replay_problems
from pipeline_defs.contract.trial import Trial
from training.data import Data
from training.recipe import STAGES, Recipe

THREE_UPDATES = {
    "updates": 3,
    "batch_rows": 4,
    "schedule.warmup": 0,
    "checkpoint_every": 1,
    "log_every": 1,
    "monitor_every": 0,
    "validate_every": 0,
    "max_val_samples": 8,
    "threads": 1,
    "device": "cpu",
}
PLAIN = {".safetensors", ".json", ".jsonl", ".log", ".arrow", ".parquet"}
"""The kinds of files that a training may leave: none that runs code when it is read."""


def find_problems(name: str, folder: Path, settings: Mapping[str, Any]) -> list[str]:
    """Every broken promise; declarations first, and nothing is trained while those are wrong."""
    recipe = catalogue().recipe(name)
    problems = [*stage_declarations(recipe.derived), *_config(recipe)]
    if problems:
        return problems
    try:
        with Trial(folder / "root") as trial:
            inputs = _make_inputs(recipe, trial, settings)
            config = with_overrides(
                recipe.presets[_preset(recipe)](), {f"train.{k}": v for k, v in THREE_UPDATES.items()}
            )
            data = recipe.open_data(trial.store, inputs, config)
            return [
                *_rows(trial.store, inputs, data),
                *continuation_problems(recipe, config, data, folder),
                *_stages(recipe, trial.store, inputs, config),
                *_derived(recipe, trial, folder),
            ]
    except (StemmaError, ChainFailure) as error:
        return [f"{name}: {error}"]


def _make_inputs(recipe: Recipe, trial: Trial, settings: Mapping[str, Any]) -> dict[str, Snapshot]:
    """What the recipe reads, made by the chain; other recipes' checkpoints are trained for three updates."""
    known = catalogue()
    kinds = [given.kind for given in recipe.inputs.values()]
    others = {stage.owner for stage in known.above(kinds) if stage.owner in known.recipes and stage.name == STAGES[0]}
    short = {f"{other}.train.{field}": value for other in others for field, value in THREE_UPDATES.items()}
    trial.run(kinds, {**short, **settings})
    return {name: trial.store.pointed(given.kind) for name, given in recipe.inputs.items()}


def _preset(recipe: Recipe) -> str:
    return "smoke" if "smoke" in recipe.presets else next(iter(recipe.presets))


def _config(recipe: Recipe) -> Iterator[str]:
    """Every preset is of the config's type and without contradictions, and every field says what it means."""
    for name, preset in recipe.presets.items():
        config = preset()
        if not isinstance(config, recipe.config_type):
            yield f"preset {name} is no {recipe.config_type.__name__}"
            continue
        yield from (f"preset {name}: {issue.path}: {issue.message}" for issue in recipe.check(config))
        yield from _undocumented(config, "")


def _undocumented(config: Any, prefix: str) -> Iterator[str]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _undocumented(value, f"{prefix}{field.name}.")
        elif not field.metadata.get("doc"):
            yield f"config field {prefix}{field.name} has no doc"


def _rows(store: Store, inputs: Mapping[str, Snapshot], data: Data) -> Iterator[str]:
    """Row keys are those of the tables, held-out rows are no training rows, and every input is a member."""
    from training.order import table_keys

    members = set(data.members.values())
    for name, snapshot in inputs.items():
        if not snapshot.kind.endswith(f"/{MANIFEST}") and snapshot.id not in members:
            yield f"its input {name} ({snapshot.kind}) is not among data.members: a run would go on under another one"
    keys: list[int] = []
    for table in data.tables:
        if table.snapshot not in members:
            yield f"rows of {table.snapshot}, which is not among data.members"
        keys += table_keys(
            store.snapshot(table.snapshot).table(table.file)["row_key"].to_numpy(), table.chunks
        ).tolist()
    if data.tables and keys != data.row_keys.tolist():
        yield "data.row_keys are not those of data.tables, in their order"
    if data.validation is not None and set(data.validation.row_keys.tolist()) & set(data.row_keys.tolist()):
        yield "held-out rows are trained on"


def _stages(recipe: Recipe, store: Store, inputs: Mapping[str, Snapshot], config: Any) -> Iterator[str]:
    """Preflight, checkpoint and gate report are published, judge, name what they read, and leave no pickle."""
    from training.stages import make_checkpoint, make_gate_report, make_preflight_report

    preflight = make_preflight_report(store, recipe, inputs, config)
    if not read_registration(preflight)["ok"]:
        yield f"the preflight complains: {preflight.read_json('preflight.json')['issues']}"
        return
    checkpoint = make_checkpoint(store, recipe, inputs, preflight)
    report = make_gate_report(store, recipe, inputs, preflight, checkpoint)
    result = read_result(report)
    if not result["gate"]["criteria"] or result["metadata"]["checkpoint"] != checkpoint.id:
        yield "the gate report judges nothing, or another checkpoint"
    read = {parent.id for parent in read_receipt(checkpoint.receipt or Path()).parents}
    yield from (f"the checkpoint's receipt does not name {k}" for k, s in inputs.items() if s.id not in read)
    run = store.root / "runs" / result["metadata"]["run_id"]
    written = [path for folder in (preflight.path, checkpoint.path, report.path, run) for path in folder.rglob("*.*")]
    yield from (f"it leaves {path.name}" for path in written if path.is_file() and path.suffix not in PLAIN)


def _derived(recipe: Recipe, trial: Trial, folder: Path) -> Iterator[str]:
    """Derived stages replay to the same id, with all their ancestors."""
    names = [name for stage in recipe.derived for name in trial.live() if f"{name}/".startswith(f"{stage.kind}/")]
    if names:
        yield from replay_problems(trial.store, Store(folder / "replayed"), names)
    for stage in recipe.derived:
        for check in stage.every_check:
            for name in names:
                if f"{name}/".startswith(f"{stage.kind}/"):
                    outcome = load(check.run)(trial.store, trial.store.pointed(name))
                    if not (outcome.passed or outcome.warning):
                        yield f"{name}: the check {check.name} failed"
