"""Everything that can be known before the first update, in one report: all issues at once, and the gate's registration.

Owns the report. The checks are in :mod:`training.checks` (config and data) and :mod:`training.machine`. Warnings never
flip ``ok``. What is found about the machine stays out of the registration, so the same data and config are registered
under the same digest everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from assets_data.documents import REGISTRATION, VERSIONS
from assets_data.lineage import ConfigError, DataError, IntegrityError, Snapshot, Store, digest_json, to_dict
from assets_data.lineage.queries.leaks import Leak
from training import machine
from training.beginning import build_module
from training.checks import config_issues, input_issues, row_issues
from training.config import pin_length
from training.data import Data
from training.leaks import leak_issues, learner_leaks
from training.machine import Probes
from training.recipe import Findings, Issue, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``registration`` binds training and gate, ``document`` is all there is to read, ``findings`` holds the tables."""

    registration: dict[str, Any]
    document: dict[str, Any]
    findings: Findings | None


def inspect(store: Store, recipe: Recipe, inputs: Mapping[str, Snapshot], config: Any, probes: Probes) -> Report:
    """Run every check that can be run. Raises nothing that it is there to find.

    Data is opened only under a config without contradictions and when every member verifies. What is registered has its
    length pinned in updates.
    """
    issues, leaks = [*config_issues(recipe, config), *input_issues(store, inputs, config.train)], list[Leak]()
    if not any(issue.severity == "error" for issue in issues):
        leaks = learner_leaks(store, inputs)
        issues += leak_issues(leaks, config.train)
    data, findings, model_inputs, parameters = None, None, {}, 0
    if not any(issue.severity == "error" for issue in issues):
        data, found = _open_data(store, recipe, inputs, config)
        issues += found
    if data is not None:
        pinned = pin_length(config, len(data.row_keys))
        issues += [issue for issue in config_issues(recipe, pinned) if issue not in issues]
        config, findings = pinned, recipe.inspect(data, pinned)
        issues += [*findings.issues, *row_issues(data)]
        model_inputs = dict(recipe.model_inputs(data, config))
        parameters, misfits = _count_parameters(recipe, config, model_inputs)
        issues += misfits
    devices, packages = probes.cuda_devices(), machine.dependencies(config.train, recipe.needs, probes)
    issues += machine.issues(config.train, store.root, devices, packages, parameters, probes)
    registration = _registration(recipe, inputs, config, issues, findings, model_inputs)
    if leaks:
        registration["leaks"] = [asdict(leak) for leak in leaks]
    document = {
        **registration,
        "run_dir": str(store.root / "runs"),
        "parameters": parameters,
        "accelerator": machine.accelerator(config.train, devices, parameters),
        "dependencies": packages,
        "issues": [asdict(issue) for issue in issues],
    }
    return Report(registration=registration, document=document, findings=findings)


def _registration(
    recipe: Recipe,
    inputs: Mapping[str, Snapshot],
    config: Any,
    issues: list[Issue],
    findings: Findings | None,
    model_inputs: Mapping[str, Any],
) -> dict[str, Any]:
    """What training and gate read. The evaluation's digest covers thresholds, prompts and seeds together."""
    evaluation = {"thresholds": dict(findings.thresholds), **findings.evaluation} if findings else {}
    return {
        "schema_version": VERSIONS[REGISTRATION],
        "recipe": recipe.name,
        "ok": not any(issue.severity == "error" for issue in issues),
        "errors": [[issue.code, issue.path, issue.message] for issue in issues if issue.severity == "error"],
        "inputs": {name: snapshot.id for name, snapshot in inputs.items()},
        "config": to_dict(config),
        "dataset": dict(findings.dataset) if findings else {},
        "model_inputs": model_inputs,
        "evaluation": {**evaluation, "digest": digest_json(evaluation)},
    }


def _open_data(
    store: Store, recipe: Recipe, inputs: Mapping[str, Snapshot], config: Any
) -> tuple[Data | None, list[Issue]]:
    try:
        return recipe.open_data(store, inputs, config), []
    except (DataError, IntegrityError) as error:
        return None, [Issue(error.code, "error", "inputs", str(error))]


def _count_parameters(recipe: Recipe, config: Any, model_inputs: Mapping[str, Any]) -> tuple[int, list[Issue]]:
    """Built without memory, on the meta device; a model that cannot do what the config asks for is an issue."""
    try:
        with torch.device("meta"):
            model = build_module(recipe, config, model_inputs)
    except ConfigError as error:
        return 0, [Issue(error.code, "error", str(error.where), str(error))]
    return sum(parameter.numel() for parameter in model.parameters()), []
