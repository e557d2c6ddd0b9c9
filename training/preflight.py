"""Everything that can be known before the first update, in one report: all issues at once, and the gate's registration.

Owns the checks common to all recipes and the report. Warnings never flip ``ok``. What is found about the machine
stays out of the registration, so the same data and config are registered under the same digest everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from assets_data.lineage import ConfigError, DataError, IntegrityError, Snapshot, Store, digest_json, to_dict
from training import machine
from training.machine import Probes
from training.optim import optimizer_class
from training.recipe import Data, Findings, Issue, Recipe
from training.schedules import SCHEDULES

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``registration`` binds training and gate, ``document`` is all there is to read, ``findings`` holds the tables."""

    registration: dict[str, Any]
    document: dict[str, Any]
    findings: Findings | None


def inspect(store: Store, recipe: Recipe, manifest: Snapshot, config: Any, probes: Probes) -> Report:
    """Run every check that can be run. Raises nothing that it is there to find.

    Data is opened only under a config without contradictions and when every member verifies.
    """
    issues = [*_config_issues(recipe, config), *_member_issues(store, manifest)]
    data, findings, parameters = None, None, 0
    if not issues:
        data, issues = _open_data(store, recipe, manifest, config)
    if data is not None:
        findings, parameters = recipe.inspect(data, config), _count_parameters(recipe, config, data)
        issues += [*findings.issues, *_row_issues(data)]
    devices, packages = probes.cuda_devices(), machine.dependencies(config.train, probes)
    issues += machine.accelerator_issues(config.train, devices, parameters)
    issues += machine.disk_issues(config.train, parameters, probes.free_bytes(store.root))
    issues += machine.dependency_issues(packages)
    registration = _registration(recipe, manifest, config, issues, findings)
    document = {
        **registration,
        "parameters": parameters,
        "accelerator": machine.accelerator(config.train, devices, parameters),
        "dependencies": packages,
        "issues": [asdict(issue) for issue in issues],
    }
    return Report(registration=registration, document=document, findings=findings)


def _registration(
    recipe: Recipe, manifest: Snapshot, config: Any, issues: list[Issue], findings: Findings | None
) -> dict[str, Any]:
    """What training and gate read. The evaluation's digest covers thresholds, prompts and seeds together."""
    evaluation = {"thresholds": dict(findings.thresholds), **findings.evaluation} if findings else {}
    return {
        "schema_version": SCHEMA,
        "recipe": recipe.name,
        "ok": not any(issue.severity == "error" for issue in issues),
        "errors": [[issue.code, issue.path, issue.message] for issue in issues if issue.severity == "error"],
        "dataset_snapshot_id": manifest.id,
        "config": to_dict(config),
        "dataset": dict(findings.dataset) if findings else {},
        "model_inputs": dict(findings.model_inputs) if findings else {},
        "evaluation": {**evaluation, "digest": digest_json(evaluation)},
    }


def _config_issues(recipe: Recipe, config: Any) -> Iterator[Issue]:
    for code, path, message in recipe.check(config):
        yield Issue(code, "error", path, message)
    if (schedule := config.train.schedule.name) not in SCHEDULES:
        message = f"{schedule!r} is not one of {sorted(SCHEDULES)}"
        yield Issue("SCHEDULE_UNKNOWN", "error", "train.schedule.name", message)
    try:
        optimizer_class(config.train.optimizer.name)
    except ConfigError as error:
        yield Issue(error.code, "error", "train.optimizer.name", str(error))


def _member_issues(store: Store, manifest: Snapshot) -> Iterator[Issue]:
    for path, member in _members(manifest.read_json("manifest.json")["members"], "manifest.members"):
        try:
            store.snapshot(member)
        except IntegrityError as error:
            yield Issue("MEMBER_BROKEN", "error", path, str(error))


def _members(entry: Any, path: str) -> Iterator[tuple[str, str]]:
    """Members are ids, or mappings of names to members."""
    if isinstance(entry, Mapping):
        for name, inner in entry.items():
            yield from _members(inner, f"{path}.{name}")
    else:
        yield path, entry


def _open_data(store: Store, recipe: Recipe, manifest: Snapshot, config: Any) -> tuple[Data | None, list[Issue]]:
    try:
        return recipe.open_data(store, manifest, config), []
    except (DataError, IntegrityError) as error:
        return None, [Issue(error.code, "error", "manifest", str(error))]


def _row_issues(data: Data) -> Iterator[Issue]:
    if len(data.row_keys) == 0:
        yield Issue("DATASET_EMPTY", "error", "dataset", "there is not one training row")


def _count_parameters(recipe: Recipe, config: Any, data: Data) -> int:
    """Built without memory, on the meta device."""
    with torch.device("meta"):
        model = recipe.build_model(config, recipe.model_inputs(data, config))
    return sum(parameter.numel() for parameter in model.parameters())
