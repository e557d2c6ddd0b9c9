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


def library_factors(config: ScheduleConfig, updates: int, known: Sequence[str]) -> np.ndarray:
    """float64[updates]: the factor of the peak at each update after warm-up. ``known`` are the other valid names."""
    import pytorch_optimizer  # two seconds to import: only for those who name one of its schedules

    names = sorted({*pytorch_optimizer.get_supported_lr_schedulers()} - {*NEEDS_CODE})
    if config.name in NEEDS_CODE or config.name not in names:
        reason = f": {NEEDS_CODE[config.name]}" if config.name in NEEDS_CODE else ""
        expected = f"one of {sorted({*known, *names})}"
        raise ConfigError("SCHEDULE_UNKNOWN", f"no such schedule{reason}", expected=expected, found=config.name)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    optimizer.step()  # torch warns of a schedule that moves before its optimizer
    try:
        schedule = _build(pytorch_optimizer.load_lr_scheduler(config.name), optimizer, updates, dict(config.kwargs))
        return _step_through(schedule, optimizer, updates)
    except (TypeError, ValueError) as error:
        message = f"{config.name}: {error}"
        raise ConfigError("SCHEDULE_ARGUMENTS", message, where="train.schedule.kwargs") from error


def _build(cls: Any, optimizer: torch.optim.Optimizer, updates: int, kwargs: dict[str, Any]) -> Any:
    """Peak and length are the run's; all else is the config's or the library's default."""
    bases = [base for base in getattr(cls, "__mro__", (cls,)) if base is cls or "__init__" in vars(base)]
    parameters = {name for base in bases for name in inspect.signature(base).parameters}
    given = {"max_lr": 1.0, "cycle_momentum": False, **dict.fromkeys(LENGTHS, updates)}
    return cls(optimizer, **{**{name: value for name, value in given.items() if name in parameters}, **kwargs})


def _step_through(schedule: Any, optimizer: torch.optim.Optimizer, updates: int) -> np.ndarray:
    factors = np.empty(max(updates, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own deprecations
        for update in range(len(factors)):
            factors[update] = optimizer.param_groups[0]["lr"]
            schedule.step()
    return factors
