"""What a run needs of the machine, and what the machine has: disk, CUDA devices, packages. The preflight asks here.

The machine is looked at through ``Probes``, so that any machine can be stood in for.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.config import TrainConfig
from training.config.problems import OWN_SCHEDULES
from training.environment import WORKSPACE, WORKSPACES
from training.optim import TORCH_OPTIMIZERS
from training.recipe import Issue

BYTES_PER_PARAMETER = 4
STATE_COPIES = 3
"""A checkpoint holds the weights and, for Adam's family, two moments of the same size."""
PACKAGES = ("torch", "numpy", "pyarrow", "safetensors", "tqdm")


def free_bytes(path: Path) -> int:
    """Free space where ``path`` is or will be."""
    return shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free


def cuda_devices() -> list[dict[str, Any]]:
    """``{"name", "bytes"}`` of every CUDA device."""
    devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [{"name": device.name, "bytes": device.total_memory} for device in devices]


def is_writable(path: Path) -> bool:
    """Whether files can be made where ``path`` is or will be."""
    return os.access(next(p for p in (path, *path.parents) if p.exists()), os.W_OK)


def installed_version(package: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def free_memory() -> int:
    """Bytes of main memory that can be had without swapping; all there is where the kernel does not say."""
    meminfo = Path("/proc/meminfo")
    for line in meminfo.read_text().splitlines() if meminfo.is_file() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """How the preflight looks at the machine."""

    free_bytes: Callable[[Path], int] = free_bytes
    cuda_devices: Callable[[], list[dict[str, Any]]] = cuda_devices
    installed_version: Callable[[str], str | None] = installed_version
    free_memory: Callable[[], int] = free_memory
    variable: Callable[[str], str | None] = os.environ.get
    writable: Callable[[Path], bool] = is_writable


def issues(
    plan: TrainConfig,
    root: Path,
    devices: list[dict[str, Any]],
    packages: list[dict[str, Any]],
    parameters: int,
    probes: Probes,
) -> Iterator[Issue]:
    """Everything the machine lacks for this run, its store being at ``root``."""
    yield from accelerator_issues(plan, devices, parameters)
    if not devices or plan.device == "cpu":
        yield from memory_issues(parameters, probes.free_memory())
    yield from disk_issues(plan, parameters, probes.free_bytes(root))
    if not probes.writable(root):
        yield Issue("RUN_DIR_READ_ONLY", "error", "run_dir", f"{root} cannot be written to")
    yield from determinism_issues(plan, devices, probes.variable(WORKSPACE))
    yield from dependency_issues(packages)


def accelerator(plan: TrainConfig, devices: list[dict[str, Any]], parameters: int) -> dict[str, Any]:
    """What was asked for and what is there, in bytes."""
    first = devices[0] if devices else {"name": None, "bytes": None}
    return {
        "requested": plan.device,
        "required": plan.require_accelerator,
        "available": bool(devices),
        "count": len(devices),
        "name": first["name"],
        "memory_bytes": first["bytes"],
        "minimum_bytes": _least_device_bytes(parameters),
    }


def accelerator_issues(plan: TrainConfig, devices: list[dict[str, Any]], parameters: int) -> Iterator[Issue]:
    """A device that is missing, unused or too small. Activations are not counted: they depend on the batch."""
    if plan.device == "cpu":
        if plan.require_accelerator:
            yield Issue(
                "ACCELERATOR_UNUSED", "error", "train.device", "an accelerator is required but the device is cpu"
            )
    elif not devices:
        if plan.require_accelerator or plan.device == "cuda":
            yield Issue("ACCELERATOR_MISSING", "error", "train.device", "the run needs a CUDA device and there is none")
    elif devices[0]["bytes"] < (least := _least_device_bytes(parameters)):
        has = f"{devices[0]['name']} has {devices[0]['bytes']:,}"
        message = f"weights, gradients and moments need {least:,} bytes; {has}"
        yield Issue("DEVICE_MEMORY_SHORT", "error", "train.device", message)


def disk_issues(plan: TrainConfig, parameters: int, free: int) -> Iterator[Issue]:
    """Space for the checkpoints that are kept and for one being written."""
    needed = parameters * BYTES_PER_PARAMETER * STATE_COPIES * (plan.keep_checkpoints + 1)
    if free < needed:
        message = f"{plan.keep_checkpoints + 1} checkpoints need {needed:,} bytes and {free:,} are free"
        yield Issue("DISK_SHORT", "error", "train.keep_checkpoints", message)


def memory_issues(parameters: int, free: int) -> Iterator[Issue]:
    """Main memory for weights, gradients and moments. Activations are not counted."""
    if free < (least := _least_device_bytes(parameters)):
        message = f"weights, gradients and moments need {least:,} bytes and {free:,} are free"
        yield Issue("MEMORY_SHORT", "error", "train.device", message)


def determinism_issues(plan: TrainConfig, devices: list[dict[str, Any]], workspace: str | None) -> Iterator[Issue]:
    """A cuBLAS workspace chosen outside under which its results vary from run to run."""
    if devices and plan.device != "cpu" and workspace is not None and workspace not in WORKSPACES:
        message = f"{WORKSPACE}={workspace} is not deterministic; unset it or use one of {WORKSPACES}"
        yield Issue("DETERMINISM_WORKSPACE", "error", WORKSPACE, message)


def dependencies(plan: TrainConfig, needs: Sequence[str], probes: Probes) -> list[dict[str, Any]]:
    """Package, whether this run requires it, its version if it is there, and the reason it is an issue (or empty)."""
    rows = []
    library = plan.optimizer.name.lower() not in TORCH_OPTIMIZERS
    library |= plan.schedule.name not in OWN_SCHEDULES
    for package in (*PACKAGES, "pytorch_optimizer", *plan.trackers, *needs):
        required = package != "pytorch_optimizer" or library
        version = probes.installed_version(package)
        reason = f"{package} is required and not installed" if required and version is None else ""
        row = {"import": package, "package": package, "required": required, "available": version is not None}
        rows.append({**row, "version": version, "reason": reason})
    return rows


def dependency_issues(rows: list[dict[str, Any]]) -> Iterator[Issue]:
    """One issue per package with a reason."""
    for row in rows:
        if row["reason"]:
            yield Issue("DEPENDENCY_MISSING", "error", row["package"], row["reason"])


def _least_device_bytes(parameters: int) -> int:
    return parameters * BYTES_PER_PARAMETER * (STATE_COPIES + 1)
