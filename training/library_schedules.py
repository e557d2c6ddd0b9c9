"""Schedules of the pytorch_optimizer library (and torch's under its names), as tables of factors.

A library schedule is stepped once over the whole run on a parameter of no importance, so that it, too, is a pure
function of the update and a resume has nothing to restore. Costs about a microsecond per update, once.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from assets_data.lineage import ConfigError
from training.config import ScheduleConfig

NEEDS_CODE = {"multiplicative": "it takes a function", "proportion": "it takes another schedule"}
"""The library's schedules that a config cannot describe."""
LENGTHS = ("t_max", "T_max", "total_steps", "first_cycle_steps", "num_epochs")
"""What the library's constructors call the number of updates."""
STABLE = 0.8
"""Share of the updates after warm-up that warmup_stable_decay stays at the peak, unless told; as in wsd."""


def library_factors(config: ScheduleConfig, updates: int, known: Sequence[str]) -> np.ndarray:
    """float64[updates]: the factor of the peak at each update after warm-up. ``known`` are the other valid names."""
    import pytorch_optimizer  # two seconds to import: only for those who name one of its schedules

    names = sorted({*pytorch_optimizer.get_supported_lr_schedulers()} - {*NEEDS_CODE})
    if config.name in NEEDS_CODE or config.name not in names:
        reason = f": {NEEDS_CODE[config.name]}" if config.name in NEEDS_CODE else ""
        expected = f"one of {sorted({*known, *names})}"
        raise ConfigError("SCHEDULE_UNKNOWN", f"no such schedule{reason}", expected=expected, found=config.name)
    cls = pytorch_optimizer.load_lr_scheduler(config.name)
    kwargs = _completed(cls, config, max(updates, 1))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    optimizer.step()  # torch warns of a schedule that moves before its optimizer
    try:
        factors = _step_through(cls(optimizer, **kwargs), optimizer, updates)
    except Exception as error:  # arithmetic on lengths that do not fit the run fails in many ways
        raise _refusal(config, f"{type(error).__name__}: {error}") from error
    if not np.isfinite(factors).all() or factors.min(initial=0.0) < 0.0:
        raise _refusal(config, "its rates are not all finite numbers of at least 0")
    return factors


def _completed(cls: Any, config: ScheduleConfig, updates: int) -> dict[str, Any]:
    """The config's arguments, with those that follow from the run: peak, floor and length of what comes after warm-up.

    Raises ConfigError SCHEDULE_ARGUMENTS naming every argument that is missing or not taken.
    """
    parameters = _parameters(cls)
    kwargs = {**_from_run(config, updates), **config.kwargs}
    if unknown := sorted(config.kwargs.keys() - parameters.keys()):
        raise _refusal(config, f"takes no {', '.join(unknown)}", f"any of {sorted(parameters)}")
    kwargs = {name: value for name, value in kwargs.items() if name in parameters}
    missing = [name for name, p in parameters.items() if p.default is p.empty and name not in kwargs]
    if missing:
        reason = f"needs {', '.join(missing)}, in updates after warm-up, which does not follow from the run's length"
        raise _refusal(config, reason, f"train.schedule.kwargs with {', '.join(missing)}")
    return kwargs


def _from_run(config: ScheduleConfig, updates: int) -> dict[str, Any]:
    """What a run of ``updates`` after warm-up answers for, under every name that the library's constructors have."""
    found = {"max_lr": 1.0, "cycle_momentum": False, **dict.fromkeys(LENGTHS, updates)}
    found |= {"base_lr": config.lr_min_ratio, "step_size_up": max(1, updates // 2)}  # one cycle fills the run
    if config.name == "warmup_stable_decay":
        found |= _stable_then_decay(config, updates)
    return found


def _stable_then_decay(config: ScheduleConfig, updates: int) -> dict[str, int]:
    """Lengths that fill the run: the decay takes what the config's own warm-up and stable part leave."""
    given = {name: config.kwargs.get(name) for name in ("num_warmup_steps", "num_stable_steps", "num_decay_steps")}
    warmup = given["num_warmup_steps"] or 0  # the run's warm-up comes before and is not counted here
    left = updates - warmup
    stable, decay = given["num_stable_steps"], given["num_decay_steps"]
    if stable is None:
        stable = left - decay if decay is not None else int(STABLE * left)
    decay = left - stable if decay is None else decay
    for name, length in (("num_warmup_steps", warmup), ("num_stable_steps", stable), ("num_decay_steps", decay)):
        if length < (name == "num_decay_steps") or warmup + stable + decay > updates:
            reason = f"{warmup} + {stable} + {decay} updates of warm-up, stable part and decay do not fill {updates}"
            raise _refusal(config, f"{name} does not fit: {reason}", "num_stable_steps below the updates after warm-up")
    return {"num_warmup_steps": warmup, "num_stable_steps": stable, "num_decay_steps": decay}


def _parameters(cls: Any) -> dict[str, inspect.Parameter]:
    """The named parameters of a schedule's class or function, and of the bases to which it hands ``**kwargs``."""
    bases = [base for base in getattr(cls, "__mro__", (cls,)) if base is cls or "__init__" in vars(base)]
    found: dict[str, inspect.Parameter] = {}
    for base in bases:
        own = inspect.signature(base).parameters
        named = {n: p for n, p in own.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        found = {**named, **found}
        if len(named) == len(own):
            break
    return {name: p for name, p in found.items() if name not in ("optimizer", "last_epoch")}


def _refusal(config: ScheduleConfig, reason: str, expected: str = "") -> ConfigError:
    where = "train.schedule.kwargs"
    return ConfigError("SCHEDULE_ARGUMENTS", f"{config.name}: {reason}", where=where, expected=expected or None)


def _step_through(schedule: Any, optimizer: torch.optim.Optimizer, updates: int) -> np.ndarray:
    factors = np.empty(max(updates, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own deprecations
        for update in range(len(factors)):
            factors[update] = optimizer.param_groups[0]["lr"]
            schedule.step()
    return factors
