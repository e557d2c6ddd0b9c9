"""Model, optimizer and generator state as flat named tensors, and back. Owns the names; writes no files.

Optimizer state is named by parameter (``blocks.0.attention.out.weight/exp_avg``). What an optimizer keeps as numbers,
in its state or in its groups, goes into the JSON part. Row order and other keyed randomness need no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from assets_data.lineage import TrainingError

Tensors = dict[str, Tensor]


def capture(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """``({"model", "optimizer", "rng"} to CPU copies of tensors, the optimizer's numbers as JSON)``.

    Raises TrainingError CHECKPOINT_OPTIMIZER_STATE when an optimizer keeps something that is neither.
    """
    tensors, numbers = _optimizer_state(model, optimizer)
    model_tensors = {name: _copy(value) for name, value in model.state_dict().items()}
    return {"model": model_tensors, "optimizer": tensors, "rng": _generators()}, numbers


def restore(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensors], numbers: Mapping[str, Any]
) -> None:
    """Put captured state back in place: the inverse of :func:`capture`, on whatever device the model is on now."""
    model.load_state_dict(tensors["model"])
    parameters = dict(model.named_parameters())
    fused = all(group.get("fused") for group in optimizer.param_groups)
    for name, value in tensors["optimizer"].items():
        owner, key = name.rsplit("/", 1)
        parameter = parameters[owner]
        optimizer.state[parameter][key] = value.to(parameter.device if fused or value.dim() else "cpu")
    for name, value in numbers["state"].items():
        owner, key = name.rsplit("/", 1)
        optimizer.state[parameters[owner]][key] = value
    for group, values in zip(optimizer.param_groups, numbers["groups"], strict=True):
        group.update(values)
    _restore_generators(tensors["rng"])


def _optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Tensors, dict[str, Any]]:
    tensors: Tensors = {}
    numbers: dict[str, Any] = {}
    for owner, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{owner}/{key}"] = _copy(value)
            elif value is None or isinstance(value, int | float):
                numbers[f"{owner}/{key}"] = value
            else:
                found = f"{type(optimizer).__name__} keeps {key} as {type(value).__name__}"
                raise TrainingError("CHECKPOINT_OPTIMIZER_STATE", "this optimizer's state cannot be saved", found=found)
    groups = [{k: v for k, v in group.items() if isinstance(v, int | float)} for group in optimizer.param_groups]
    return tensors, {"state": numbers, "groups": groups}


def _copy(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True).contiguous()


def _generators() -> Tensors:
    cuda = {f"cuda.{i}": torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())}
    return {"cpu": torch.get_rng_state(), **cuda}


def _restore_generators(states: Tensors) -> None:
    torch.set_rng_state(states["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda.{index}" in states:
            torch.cuda.set_rng_state(states[f"cuda.{index}"], index)
