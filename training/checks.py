"""What the preflight checks of config and data, whichever the recipe. Every check yields issues and raises nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import nn

from assets_data.documents import read_manifest
from assets_data.lineage import ConfigError, IntegrityError, Snapshot, Store
from training.config import OptimizerConfig, TrainConfig
from training.data import Data
from training.optim import build_optimizer, optimizer_class
from training.optimizer_arguments import fitting_kwargs, inherited_kwargs, parameters_of
from training.recipe import Issue, Recipe
from training.schedules import build_schedule


def config_issues(recipe: Recipe, config: Any) -> Iterator[Issue]:
    """Contradictions of the config, and names and arguments that optimizer or schedule do not know."""
    yield from recipe.check(config)
    plan: TrainConfig = config.train
    inherited = inherited_kwargs(getattr(recipe, "presets", {}), plan.optimizer)
    builders: dict[str, Callable[[], Any]] = {
        "train.optimizer": lambda: build_optimizer(
            nn.Linear(1, 1), plan.optimizer, updates=plan.updates, inherited=inherited
        ),
        "train.schedule": lambda: build_schedule(plan.schedule, plan.updates),
    }
    for path, build in builders.items():
        try:
            build()
        except ConfigError as error:
            if error.code != "OPTIMIZER_UNFIT":  # among the contradictions already
                yield Issue(error.code, "error", path, str(error))
        else:
            yield from _unused(plan.optimizer, inherited) if path == "train.optimizer" else ()


def _unused(config: OptimizerConfig, inherited: set[str]) -> Iterator[Issue]:
    """What of the optimizer's config has no effect: a preset's kwargs for another one, decay where there is none."""
    cls = optimizer_class(config.name)
    for reason in fitting_kwargs(cls, config, inherited)[1]:
        message = f"left out, as {config.name} {reason}; the preset wrote it for another optimizer"
        yield Issue("OPTIMIZER_KWARGS_DROPPED", "warning", "train.optimizer.kwargs", message)
    if config.weight_decay and "weight_decay" not in parameters_of(cls):
        message = f"{config.name} has no weight decay: {config.weight_decay} changes nothing"
        yield Issue("OPTIMIZER_NO_DECAY", "warning", "train.optimizer.weight_decay", message)


def input_issues(store: Store, inputs: Mapping[str, Snapshot], plan: TrainConfig) -> Iterator[Issue]:
    """Inputs that are broken; of manifests, members that are missing, broken or were made with another tokenizer."""
    for name, snapshot in inputs.items():
        try:
            snapshot.verify()
        except IntegrityError as error:
            yield Issue("INPUT_BROKEN", "error", f"inputs.{name}", str(error))
            continue
        if "manifest.json" in snapshot.files and not snapshot.kind.endswith("/checkpoint"):
            yield from _manifest_issues(store, read_manifest(snapshot), plan)


def _manifest_issues(store: Store, document: Mapping[str, Any], plan: TrainConfig) -> Iterator[Issue]:
    if document.get("fixture") and not plan.allow_fixture:
        yield Issue(
            "FIXTURE_DATA", "error", "manifest.fixture", "a fixture, for tests only; allow_fixture trains on it"
        )
    tokenizer = document["members"].get("tokenizer")
    for path, member in _members(document["members"], "manifest.members"):
        try:
            snapshot = store.snapshot(member)
        except IntegrityError as error:
            yield Issue("MEMBER_BROKEN", "error", path, str(error))
            continue
        yield from _tokenizer_issues(snapshot, path, tokenizer)


def row_issues(data: Data) -> Iterator[Issue]:
    """No rows to train on; held-out rows that are trained on, too."""
    if len(data.row_keys) == 0:
        yield Issue("DATASET_EMPTY", "error", "dataset", "there is not one training row")
    if data.validation is not None:
        keys = data.validation.row_keys
        if len(keys) == 0:
            yield Issue("VALIDATION_EMPTY", "warning", "dataset", "there is not one held-out row")
        if common := len(np.intersect1d(data.row_keys, keys)):
            message = f"{common} of {len(keys)} held-out rows are equal to a training row"
            yield Issue("VALIDATION_ROWS_TRAINED", "warning", "dataset", message)


def _tokenizer_issues(snapshot: Snapshot, path: str, tokenizer: str | None) -> Iterator[Issue]:
    """A member says in its layout which tokenizer made it."""
    layout = snapshot.read_json("layout.json") if "layout.json" in snapshot.files else {}
    made_with = layout.get("tokenizer") if isinstance(layout, Mapping) else None
    if tokenizer and made_with and made_with != tokenizer:
        yield Issue("TOKENIZER_MISMATCH", "error", path, f"made with tokenizer {made_with}, not with {tokenizer}")


def _members(entry: Any, path: str) -> Iterator[tuple[str, str]]:
    """Members are ids, or mappings of names to members."""
    if isinstance(entry, Mapping):
        for name, inner in entry.items():
            yield from _members(inner, f"{path}.{name}")
    else:
        yield path, entry
