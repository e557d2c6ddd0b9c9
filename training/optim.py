"""Optimizers by name, over two parameter groups. Owns which parameters decay; the schedule sets the rate per update."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from assets_data.lineage import ConfigError
from training.config import OptimizerConfig

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


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer of ``config``, fused where torch has it. Raises ConfigError for a name or argument it lacks."""
    cls = optimizer_class(config.name)
    kwargs: dict[str, Any] = dict(config.kwargs)
    if "fused" in inspect.signature(cls).parameters:
        kwargs.setdefault("fused", True)
    try:
        return cls(parameter_groups(model, config.weight_decay), lr=config.lr, **kwargs)
    except (TypeError, ValueError) as error:
        raise ConfigError("OPTIMIZER_ARGUMENTS", f"{config.name}: {error}", where="train.optimizer.kwargs") from error


def optimizer_class(name: str) -> Any:
    """The class of that name, in any case. Raises ConfigError OPTIMIZER_UNKNOWN listing every valid name."""
    if name.lower() in TORCH_OPTIMIZERS:
        return TORCH_OPTIMIZERS[name.lower()]
    import pytorch_optimizer  # two seconds to import: only for those who name one of its optimizers

    names = pytorch_optimizer.get_supported_optimizers()
    if name.lower() not in names:
        known = sorted({*TORCH_OPTIMIZERS, *names})
        raise ConfigError("OPTIMIZER_UNKNOWN", "no such optimizer", expected=f"one of {known}", found=name)
    return pytorch_optimizer.load_optimizer(name.lower())


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: decayed, and not decayed (biases, norms, embeddings, by the type of the module that owns them).

    A parameter shared between an embedding and a head is not decayed.
    """
    undecayed = {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, UNDECAYED_MODULES) or name.endswith("bias")
    }
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if id(p) not in undecayed], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) in undecayed], "weight_decay": 0.0},
    ]
