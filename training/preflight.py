"""Everything that can be known before the first update, in one report: all issues at once, and the gate's registration.

Owns the checks common to all recipes. The machine is looked at through ``Probes``, so that any machine can be stood in
for. Warnings never flip ``ok``.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from assets_data.lineage import ConfigError, DataError, IntegrityError, Snapshot, Store, digest_json, to_dict
from training.config import TrainConfig
from training.optim import TORCH_OPTIMIZERS, optimizer_class
from training.recipe import Data, Findings, Issue, Recipe
from training.schedules import SCHEDULES

SCHEMA = 1
STATE_COPIES = 3
"""A checkpoint holds the weights and, for Adam's family, two moments of the same size."""
BYTES_PER_PARAMETER = 4
PACKAGES = {"torch": "torch", "numpy": "numpy", "pyarrow": "pyarrow", "safetensors": "safetensors", "tqdm": "tqdm"}


def free_bytes(path: Path) -> int:
    """Free space where ``path`` is or will be."""
    return shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free


def cuda_devices() -> list[dict[str, Any]]:
    """``{"name", "bytes"}`` of every CUDA device."""
    devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [{"name": device.name, "bytes": device.total_memory} for device in devices]


def installed_version(package: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """How the preflight looks at the machine."""

    free_bytes: Callable[[Path], int] = free_bytes
    cuda_devices: Callable[[], list[dict[str, Any]]] = cuda_devices
    installed_version: Callable[[str], str | None] = installed_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``registration`` binds training and gate, ``document`` is all there is to read, ``findings`` holds the tables."""

    registration: dict[str, Any]
    document: dict[str, Any]
    findings: Findings | None


def inspect(store: Store, recipe: Recipe, manifest: Snapshot, config: Any, probes: Probes) -> Report:
    """Run every check that can be run. Never raises for what it is there to find."""
    plan: TrainConfig = config.train
    issues = [*_config_issues(recipe, config), *_member_issues(store, manifest)]
    dependencies = _dependencies(plan, probes)
    issues += [Issue("DEPENDENCY_MISSING", "error", d["package"], d["reason"]) for d in dependencies if d["reason"]]
    devices = probes.cuda_devices()
    issues += _device_issues(plan, devices)
    findings, parameters = None, 0
    if not any(issue.severity == "error" for issue in issues):
        data, opening = _open_data(store, recipe, manifest, config)
        issues += opening
        if data is not None:
            findings, parameters = recipe.inspect(data, config), _count_parameters(recipe, config, data)
            issues += [*findings.issues, *_size_issues(plan, data, parameters, devices, probes.free_bytes(store.root))]
    registration = _registration(recipe, manifest, config, issues, findings)
    machine = {"accelerator": _accelerator(plan, devices, parameters), "dependencies": dependencies}
    listed = [asdict(issue) for issue in issues]
    return Report(registration=registration, document={**registration, **machine, "issues": listed}, findings=findings)


def _registration(
    recipe: Recipe, manifest: Snapshot, config: Any, issues: list[Issue], findings: Findings | None
) -> dict[str, Any]:
    """What is the same on every machine. ``digest`` covers thresholds, prompts and seeds together."""
    evaluation = {
        "thresholds": dict(findings.thresholds) if findings else {},
        **(dict(findings.evaluation) if findings else {}),
    }
    return {
        "schema_version": SCHEMA,
        "recipe": recipe.name,
        "ok": not any(issue.severity == "error" for issue in issues),
        "dataset_snapshot_id": manifest.id,
        "config": to_dict(config),
        "dataset": dict(findings.dataset) if findings else {},
        "model_inputs": dict(findings.model_inputs) if findings else {},
        "evaluation": {**evaluation, "digest": digest_json(evaluation)},
    }


def _config_issues(recipe: Recipe, config: Any) -> Iterator[Issue]:
    for code, path, message in recipe.check(config):
        yield Issue(code, "error", path, message)
    plan: TrainConfig = config.train
    if plan.schedule.name not in SCHEDULES:
        message = f"{plan.schedule.name!r} is not one of {sorted(SCHEDULES)}"
        yield Issue("SCHEDULE_UNKNOWN", "error", "train.schedule.name", message)
    try:
        optimizer_class(plan.optimizer.name)
    except ConfigError as error:
        yield Issue(error.code, "error", "train.optimizer.name", str(error))
    except ModuleNotFoundError as error:
        yield Issue("DEPENDENCY_MISSING", "error", "train.optimizer.name", str(error))


def _member_issues(store: Store, manifest: Snapshot) -> Iterator[Issue]:
    members = manifest.read_json("manifest.json")["members"]
    for name, entry in members.items():
        for path, member in (
            [(f"{name}.{k}", v) for k, v in entry.items()] if isinstance(entry, Mapping) else [(name, entry)]
        ):
            try:
                store.snapshot(member)
            except IntegrityError as error:
                yield Issue("MEMBER_BROKEN", "error", f"manifest.members.{path}", str(error))


def _open_data(store: Store, recipe: Recipe, manifest: Snapshot, config: Any) -> tuple[Data | None, list[Issue]]:
    try:
        return recipe.open_data(store, manifest, config), []
    except (DataError, IntegrityError) as error:
        return None, [Issue(error.code, "error", "manifest", str(error))]


def _device_issues(plan: TrainConfig, devices: list[dict[str, Any]]) -> Iterator[Issue]:
    if not devices and (plan.require_accelerator or plan.device == "cuda"):
        yield Issue("ACCELERATOR_MISSING", "error", "train.device", "the run needs a CUDA device and there is none")
    if plan.device == "cpu" and plan.require_accelerator:
        yield Issue("ACCELERATOR_UNUSED", "error", "train.device", "an accelerator is required but the device is cpu")


def _size_issues(
    plan: TrainConfig, data: Data, parameters: int, devices: list[dict[str, Any]], free: int
) -> Iterator[Issue]:
    if len(data.row_keys) == 0:
        yield Issue("DATASET_EMPTY", "error", "dataset", "there is not one training row")
    needed = parameters * BYTES_PER_PARAMETER * STATE_COPIES * (plan.keep_checkpoints + 1)
    if free < needed:
        message = f"{plan.keep_checkpoints + 1} checkpoints need {needed:,} bytes and {free:,} are free"
        yield Issue("DISK_SHORT", "error", "train.keep_checkpoints", message)
    least = _least_device_bytes(parameters)
    if devices and plan.device != "cpu" and devices[0]["bytes"] < least:
        message = (
            f"weights, gradients and moments need {least:,} bytes; {devices[0]['name']} has {devices[0]['bytes']:,}"
        )
        yield Issue("DEVICE_MEMORY_SHORT", "error", "train.device", message)


def _least_device_bytes(parameters: int) -> int:
    return parameters * BYTES_PER_PARAMETER * (STATE_COPIES + 1)


def _count_parameters(recipe: Recipe, config: Any, data: Data) -> int:
    """Built without memory, on the meta device."""
    with torch.device("meta"):
        model = recipe.build_model(config, recipe.model_inputs(data, config))
    return sum(parameter.numel() for parameter in model.parameters())


def _accelerator(plan: TrainConfig, devices: list[dict[str, Any]], parameters: int) -> dict[str, Any]:
    first = devices[0] if devices else {"name": None, "bytes": None}
    return {
        "requested": plan.device,
        "required": plan.require_accelerator,
        "available": bool(devices),
        "count": len(devices),
        "name": first["name"],
        "memory_bytes": first["bytes"],
        "minimum_bytes": _least_device_bytes(parameters),
        "parameters": parameters,
    }


def _dependencies(plan: TrainConfig, probes: Probes) -> list[dict[str, Any]]:
    """Import name, package, whether it is required, found, its version, and the reason it is an issue (or empty)."""
    other = plan.optimizer.name.lower() not in TORCH_OPTIMIZERS
    wanted = {**dict.fromkeys(PACKAGES, True), "pytorch_optimizer": other}
    rows = []
    for name, required in wanted.items():
        package = PACKAGES.get(name, name)
        version = probes.installed_version(package)
        reason = f"{package} is required and not installed" if required and version is None else ""
        row = {"import": name, "package": package, "required": required, "available": version is not None}
        rows.append({**row, "version": version, "reason": reason})
    return rows
