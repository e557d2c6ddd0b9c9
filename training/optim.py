"""Optimizers by name, over groups of parameters. Owns which parameters decay and which ones are orthogonalised.

The schedule sets the rate per update. How an optimizer is then called is in :mod:`training.optimizer_calls`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from assets_data.lineage import ConfigError
from training.config import OptimizerConfig
from training.config.optimizers import MUON, UNFIT_OPTIMIZERS
from training.optimizer_arguments import fitting_kwargs, parameters_of
from training.optimizer_calls import FIRST, RATIO

log = logging.getLogger(__name__)

TORCH_OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
UNDECAYED_MODULES = (
    nn.Embedding,
    nn.EmbeddingBag,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.modules.batchnorm._NormBase,
)


def build_optimizer(
    model: nn.Module, config: OptimizerConfig, *, updates: int = 1, inherited: Iterable[str] = ()
) -> torch.optim.Optimizer:
    """The optimizer of ``config`` for a run of ``updates``, fused where torch has it.

    ``inherited`` are names of kwargs that are left out, with a warning, where they do not fit. Raises ConfigError for a
    name or argument it lacks, and OPTIMIZER_UNFIT for an optimizer that a run cannot drive.
    """
    cls = optimizer_class(config.name)
    kwargs, left_out = fitting_kwargs(cls, config, inherited)
    if left_out:
        log.warning("%s: left out what the preset wrote for another optimizer: %s", config.name, "; ".join(left_out))
    takes = parameters_of(cls)
    kwargs = {**_completed(cls, config, updates), **kwargs}
    try:
        if "model" in takes:
            return _over_model(cls, model, config.weight_decay, kwargs)
        return cls(_groups(model, config, takes, kwargs), **kwargs)
    except Exception as error:  # the library validates with exceptions of its own, without a common base
        raise ConfigError("OPTIMIZER_ARGUMENTS", f"{config.name}: {error}", where="train.optimizer.kwargs") from error


def optimizer_class(name: str) -> Any:
    """The class of that name, in any case. Raises ConfigError OPTIMIZER_UNKNOWN listing every valid name."""
    if reason := UNFIT_OPTIMIZERS.get(name.lower()):
        raise ConfigError("OPTIMIZER_UNFIT", f"{name} cannot be used: {reason}", where="train.optimizer.name")
    if name.lower() in TORCH_OPTIMIZERS:
        return TORCH_OPTIMIZERS[name.lower()]
    import pytorch_optimizer  # two seconds to import: only for those who name one of its optimizers

    names = pytorch_optimizer.get_supported_optimizers()
    if name.lower() not in names:
        known = sorted({*TORCH_OPTIMIZERS, *names} - {*UNFIT_OPTIMIZERS})
        raise ConfigError("OPTIMIZER_UNKNOWN", "no such optimizer", expected=f"one of {known}", found=name)
    return pytorch_optimizer.load_optimizer(name.lower())


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: decayed, and not decayed (biases, norms, embeddings, by the type of the module that owns them).

    A parameter shared between an embedding and a head is not decayed. Of a model that offers ``parameter_groups()``,
    two for each of its own, at its share of the run's rate.
    """
    undecayed = undecayed_parameters(model)
    groups = []
    for own in _own_groups(model):
        rate = {} if own.get("rate", 1.0) == 1.0 else {RATIO: float(own["rate"])}
        decayed = [p for p in own["params"] if id(p) not in undecayed]
        bare = [p for p in own["params"] if id(p) in undecayed]
        groups += [{"params": decayed, "weight_decay": weight_decay, **rate}]
        groups += [{"params": bare, "weight_decay": 0.0, **rate}]
    return groups


def _own_groups(model: nn.Module) -> list[dict[str, Any]]:
    """What the model says of its parameters, which must be all that are trained; without a word, one group."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    say = getattr(model, "parameter_groups", None)
    if say is None:
        return [{"params": parameters}]
    groups = [{**group, "params": list(group["params"])} for group in say()]
    named = [id(p) for group in groups for p in group["params"]]
    if sorted(named) != sorted(map(id, parameters)):
        what = f"parameter_groups() of {type(model).__name__} must hold every trained parameter once"
        raise ConfigError("PARAMETER_GROUPS", what, expected=len(parameters), found=len(named))
    return groups


def undecayed_parameters(model: nn.Module) -> set[int]:
    """``id`` of every parameter that never decays."""
    return {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, UNDECAYED_MODULES) or name.endswith("bias")
    }


def hidden_matrices(model: nn.Module) -> set[int]:
    """``id`` of every 2-D weight that is neither an embedding, nor tied to one, nor the output head.

    The head is the last linear layer with as many outputs as an embedding has entries, or without one the last of all.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    entries = {module.num_embeddings for module in model.modules() if isinstance(module, nn.Embedding)}
    heads = [module for module in linear if module.out_features in entries] or linear
    no_matrix = undecayed_parameters(model) | {id(head.weight) for head in heads[-1:]}
    named = model.named_parameters()
    return {id(p) for name, p in named if p.ndim == 2 and name.endswith("weight") and id(p) not in no_matrix}


def _groups(
    model: nn.Module, config: OptimizerConfig, takes: Iterable[str], kwargs: dict[str, Any]
) -> list[dict[str, Any]]:
    """The decayed and the undecayed; for Muon's kin the hidden matrices and, at AdamW's rate, the others of each."""
    groups = parameter_groups(model, config.weight_decay)
    if config.name.lower() not in MUON:
        return [part for group in groups for part in _by_rate(model, group)]
    hidden, ratio = hidden_matrices(model), kwargs["adamw_lr"] / config.lr
    parts = []
    for group in groups:
        matrices = [p for p in group["params"] if id(p) in hidden]
        others = [p for p in group["params"] if id(p) not in hidden]
        parts.append({**group, "params": matrices, "use_muon": True})
        parts.append({**group, "params": others, "use_muon": False, "lr": kwargs["adamw_lr"], RATIO: ratio})
    return [part for part in parts if part["params"]]


def _by_rate(model: nn.Module, group: dict[str, Any]) -> list[dict[str, Any]]:
    """A group, cut by the rates and first updates that the model asks for; whole where it asks for none."""
    rate_of: Callable[[str], tuple[float, int]] | None = getattr(model, "rate_of", None)
    if rate_of is None:
        return [group]
    rates = {id(parameter): rate_of(name) for name, parameter in model.named_parameters()}
    parts: dict[tuple[float, int], list[nn.Parameter]] = {}
    for parameter in group["params"]:
        parts.setdefault(rates[id(parameter)], []).append(parameter)
    return [{**group, "params": ps, RATIO: ratio, FIRST: first} for (ratio, first), ps in parts.items()]


def _completed(cls: Any, config: OptimizerConfig, updates: int) -> dict[str, Any]:
    """The arguments that the run itself answers, under the names that the class has for them."""
    takes = parameters_of(cls)
    given = {"lr": config.lr, "max_lr": config.lr, "num_iterations": updates}
    if config.name.lower() in MUON:
        given["adamw_lr"] = takes["adamw_lr"].default
    if cls.__module__.startswith("torch."):  # the library's "fused" is another thing
        given["fused"] = True
    return {name: value for name, value in given.items() if name in takes}


def _over_model(cls: Any, model: nn.Module, weight_decay: float, kwargs: dict[str, Any]) -> torch.optim.Optimizer:
    """One that makes a group of every parameter by itself; what decays stays ours to say."""
    optimizer = cls(model, weight_decay=weight_decay, **kwargs)
    undecayed = undecayed_parameters(model)
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0 if id(group["params"][0]) in undecayed else weight_decay
    return optimizer
