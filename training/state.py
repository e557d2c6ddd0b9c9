"""Model, optimizer and generator state as flat named tensors, and back. Owns the names; writes no files.

Optimizer state is named by parameter (``blocks.0.attention.out.weight/exp_avg``). What an optimizer keeps beside plain
tensors (numbers, lists, dicts, objects of its package), per parameter, per group, for all or in its own attributes,
goes into the JSON part, see :mod:`training.nested`. The model's tensors are those to evaluate; where an optimizer
trains on others, these are a part of their own (``training``). Row order and other keyed randomness need no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from assets_data.lineage import TrainingError
from training.generators import generator_states, restore_generators
from training.layout import cpu_copy, layout, with_layout
from training.nested import Decoder, Encoder, is_constant
from training.optimizer_calls import evaluation_weights, has_evaluation_weights

if TYPE_CHECKING:
    from training.parallel.sharded import Sharded

Tensors = dict[str, Tensor]
BARE = frozenset(vars(torch.optim.SGD([torch.zeros(1, requires_grad=True)])))
"""Attributes that every optimizer has: parameters, state and hooks."""


def capture(
    model: nn.Module, optimizer: torch.optim.Optimizer, sharded: Sharded | None = None
) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """``(CPU copies of tensors by part, the rest of the optimizer's state as JSON)``; of a model that is ``sharded``
    the rows that this process has.

    The parts are ``model``, ``optimizer`` and ``rng``, and ``training`` where the optimizer trains on other weights
    than it evaluates. Raises TrainingError CHECKPOINT_OPTIMIZER_STATE when it keeps something that cannot be saved.
    """
    parameters = sharded.parameters if sharded else dict(model.named_parameters())
    whole = {name: optimizer.state.get(parameter, {}) for name, parameter in parameters.items()}
    kept = sharded.gather_state(optimizer) if sharded else whole
    tensors, numbers = _optimizer_state(parameters, kept, optimizer)
    parts = {"optimizer": tensors, "rng": generator_states()}
    if has_evaluation_weights(optimizer):
        parts["training"] = {name: cpu_copy(value) for name, value in parameters.items()}
    with evaluation_weights(optimizer):
        held = sharded.state() if sharded else model.state_dict()
        parts["model"] = {name: cpu_copy(value) for name, value in held.items()}
    return parts, numbers


def restore(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensors],
    numbers: Mapping[str, Any],
    sharded: Sharded | None = None,
) -> None:
    """Put captured state, of the whole model, back in place: the inverse of :func:`capture`, on whatever device the
    model is on now; of what is ``sharded`` the rows of this process.

    Raises TrainingError CHECKPOINT_OPTIMIZER_STATE when the JSON names what this optimizer does not have.
    """
    load(model, tensors["model"], sharded)
    parameters = sharded.parameters if sharded else dict(model.named_parameters())
    kept = sharded.cut(tensors["optimizer"]) if sharded else tensors["optimizer"]
    with torch.no_grad():
        for name, value in tensors.get("training", {}).items():
            parameters[name].copy_(value)
    try:
        _restore_optimizer(parameters, optimizer, kept, numbers)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        found = f"{type(optimizer).__name__}: {error!r}"
        raise TrainingError("CHECKPOINT_OPTIMIZER_STATE", "this optimizer's state does not fit", found=found) from error
    if sharded:
        sharded.spread_state(optimizer)
    restore_generators(tensors["rng"])


def load(model: nn.Module, tensors: Tensors, sharded: Sharded | None = None) -> None:
    """Put a whole model's tensors into it. Raises RuntimeError for those of another shape."""
    if sharded:
        sharded.load(tensors)
    else:
        model.load_state_dict(tensors)


def _optimizer_state(
    parameters: Mapping[str, Tensor], states: Mapping[str, Mapping[str, Any]], optimizer: torch.optim.Optimizer
) -> tuple[Tensors, dict[str, Any]]:
    tensors: Tensors = {}
    names = {id(parameter): name for name, parameter in parameters.items()}
    encoder = Encoder(tensors, names, _package(optimizer))
    numbers: dict[str, Any] = {"state": {}, "groups": []}
    host, strides = [], {}
    for name, parameter in parameters.items():
        for key, value in states[name].items():
            if isinstance(value, Tensor) and id(value) not in names:
                tensors[f"{name}/{key}"] = cpu_copy(value)
                host += [f"{name}/{key}"] if value.device != parameter.device else []
                strides |= {f"{name}/{key}": stride} if (stride := layout(value)) else {}
            else:
                numbers["state"][f"{name}/{key}"] = _encoded(encoder, optimizer, key, value, f"{name}/{key}")
    if any(parameter.device.type != "cpu" for parameter in parameters.values()):
        numbers["host"] = host
    if strides:
        numbers["strides"] = strides
    for index, group in enumerate(optimizer.param_groups):
        kept = {key: value for key, value in group.items() if key != "params" and not is_constant(value)}
        values = {key: _encoded(encoder, optimizer, key, value, f"group.{index}/{key}") for key, value in kept.items()}
        numbers["groups"].append(values)
    for part, values in (("shared", _shared(optimizer)), ("attributes", _attributes(optimizer))):
        if values:
            numbers[part] = {k: _encoded(encoder, optimizer, k, value, f"{part}/{k}") for k, value in values.items()}
    return tensors, numbers


def _encoded(encoder: Encoder, optimizer: torch.optim.Optimizer, key: str, value: Any, name: str) -> Any:
    try:
        return encoder.encode(value, name)
    except TypeError as error:
        found = f"{type(optimizer).__name__} keeps {key} as {type(value).__name__} ({error})"
        message = "this optimizer's state cannot be saved"
        raise TrainingError("CHECKPOINT_OPTIMIZER_STATE", message, found=found) from error


def _restore_optimizer(
    parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, tensors: Tensors, numbers: Mapping[str, Any]
) -> None:
    device = next(iter(parameters.values())).device

    def place(value: Tensor, was_on: str) -> Tensor:
        return value if was_on == "cpu" and device.type != "cpu" and "host" in numbers else value.to(device)

    decoder = Decoder(tensors, parameters, _package(optimizer), place)
    for name, value in numbers["state"].items():
        owner, key = name.rsplit("/", 1)
        optimizer.state[parameters[owner]][key] = decoder.decode(value)
    for key, value in numbers.get("shared", {}).items():
        optimizer.state[key] = decoder.decode(value)
    for group, values in zip(optimizer.param_groups, numbers["groups"], strict=True):
        group.update({key: decoder.decode(value) for key, value in values.items()})
    for key, value in numbers.get("attributes", {}).items():
        setattr(optimizer, key, decoder.decode(value, getattr(optimizer, key, None)))
    fused = all(group.get("fused") for group in optimizer.param_groups)
    host, strides = numbers.get("host"), numbers.get("strides", {})
    for name in (name for name in tensors if name not in decoder.used):
        owner, key = name.rsplit("/", 1)
        stays = not (fused or tensors[name].dim()) if host is None else name in host
        parameter = parameters[owner]
        placed = tensors[name].to("cpu" if stays else parameter.device)
        optimizer.state[parameter][key] = with_layout(placed, strides.get(name))


def _shared(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What an optimizer keeps in its state for all parameters together."""
    return {key: value for key, value in optimizer.state.items() if isinstance(key, str)}


def _attributes(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What an optimizer counts outside its state. Torch's own count nothing there."""
    if _package(optimizer) == "torch":
        return {}
    kept = vars(optimizer).items()
    return {key: value for key, value in kept if key not in BARE and not is_constant(value)}


def _package(optimizer: torch.optim.Optimizer) -> str:
    return type(optimizer).__module__.split(".")[0]
