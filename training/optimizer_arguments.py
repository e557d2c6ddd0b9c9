"""Which of a config's ``kwargs`` an optimizer takes, which came with a preset for another one, and which are wrong."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from assets_data.lineage import ConfigError, to_dict
from training.config import OptimizerConfig

SWITCHES = ("adam_debias", "adanorm", "adanorm_r", "cautious", "sn", "stable_adamw", "use_gc", "use_palm")
"""What the library's classes read from their ``**kwargs``, each class some of them."""
ANY_LENGTH = ("aggmo",)
"""Those whose ``betas`` may be any number of numbers."""


def parameters_of(cls: Any) -> dict[str, inspect.Parameter]:
    """The named parameters of an optimizer's constructor, and the switches of the library that its code reads."""
    found = {name: p for name, p in inspect.signature(cls).parameters.items() if p.kind is not p.VAR_KEYWORD}
    if len(found) < len(inspect.signature(cls).parameters):
        source = inspect.getsource(cls)
        switches = (name for name in SWITCHES if f"'{name}'" in source)
        found |= {name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in switches}
    return found


def fitting_kwargs(cls: Any, config: OptimizerConfig, inherited: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    """``(kwargs that cls takes, why each other one is left out)``; only ``inherited`` names are left out.

    Raises ConfigError OPTIMIZER_ARGUMENTS for one that was written for this optimizer and is wrong.
    """
    known = parameters_of(cls)
    misfits = {name: reason for name, value in config.kwargs.items() if (reason := _misfit(name, value, known, config))}
    if wrong := [reason for name, reason in misfits.items() if name not in inherited]:
        taken = sorted(known.keys() - {"params", "model", "lr", "weight_decay", "self"})
        message, where = f"{config.name}: {'; '.join(wrong)}", "train.optimizer.kwargs"
        raise ConfigError("OPTIMIZER_ARGUMENTS", message, where=where, expected=f"any of {taken}")
    kept = {name: _as_given(value, known[name]) for name, value in config.kwargs.items() if name not in misfits}
    return kept, list(misfits.values())


def inherited_kwargs(presets: Mapping[str, Any], config: OptimizerConfig) -> set[str]:
    """Names in ``config.kwargs`` that a preset wrote, as they are, for an optimizer of another name.

    Changing ``train.optimizer.name`` alone leaves these behind.
    """
    written = to_dict(config)["kwargs"]
    others = [preset().train.optimizer for preset in presets.values()]
    return {
        name
        for other in others
        if other.name.lower() != config.name.lower()
        for name, value in to_dict(other)["kwargs"].items()
        if name in written and written[name] == value
    }


def _misfit(name: str, value: Any, known: Mapping[str, inspect.Parameter], config: OptimizerConfig) -> str | None:
    if name not in known:
        return f"takes no {name}"
    default = known[name].default
    counted = name == "betas" and isinstance(default, tuple) and config.name.lower() not in ANY_LENGTH
    if counted and (not isinstance(value, list | tuple) or len(value) != len(default)):
        return f"takes {len(default)} betas, such as {list(default)}, not {value}"
    return None


def _as_given(value: Any, parameter: inspect.Parameter) -> Any:
    """JSON has no tuples."""
    return tuple(value) if isinstance(value, list) and isinstance(parameter.default, tuple) else value
