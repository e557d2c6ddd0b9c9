"""Learning-rate schedules by name: the factor of the peak rate at update ``s`` of ``T``. Pure functions, no state.

Owns the five curves and the way to the library's. The floor ``lr_min_ratio`` holds for all once warm-up is over.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from training.config import ScheduleConfig

Curve = Callable[[int], float]
"""Update (from 0) to a factor of the peak rate."""


def build_schedule(config: ScheduleConfig, total: int) -> Curve:
    """The curve over ``total`` updates. Raises ConfigError SCHEDULE_UNKNOWN, listing names, or SCHEDULE_ARGUMENTS."""
    shape = SCHEDULES.get(config.name)
    if shape is None:
        from training.library_schedules import library_factors

        factors = library_factors(config, total - config.warmup, sorted(SCHEDULES))
        return lambda update: _warmed(config, update, total, lambda s: float(factors[s - config.warmup]))
    floor = config.lr_min_ratio
    return lambda update: _warmed(config, update, total, lambda s: shape(s, config.warmup, total, floor))


def _warmed(config: ScheduleConfig, update: int, total: int, curve: Curve) -> float:
    """Linear warm-up, then ``curve`` above the floor."""
    if update < config.warmup and total > config.warmup:
        return update / config.warmup
    return max(config.lr_min_ratio, curve(update))


def _wsd(s: int, w: int, total: int, floor: float) -> float:
    """Warm-up, stable for 80% of the rest, down to 0.1 at 98%, down to 0.01 at the end."""
    if total <= w:
        return 1.0
    decay_begin = w + max(1, int(0.80 * (total - w)))
    tail_begin = w + max(1, int(0.98 * (total - w)))
    if s <= decay_begin:
        return 1.0
    if s <= tail_begin:
        return 1.0 - 0.9 * (s - decay_begin) / max(1, tail_begin - decay_begin)
    return max(0.01, 0.1 - 0.09 * (s - tail_begin) / max(1, total - tail_begin))


def _cosine(s: int, w: int, total: int, floor: float) -> float:
    """Half a cosine from 1 to the floor over what follows warm-up (Loshchilov and Hutter 2017)."""
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * _progress(s, w, total)))


def _linear(s: int, w: int, total: int, floor: float) -> float:
    """A straight line from 1 to the floor over what follows warm-up."""
    return 1.0 - (1.0 - floor) * _progress(s, w, total)


def _constant(s: int, w: int, total: int, floor: float) -> float:
    return 1.0


def _progress(s: int, w: int, total: int) -> float:
    return min(1.0, (s - w) / max(1, total - w))


SCHEDULES: dict[str, Callable[[int, int, int, float], float]] = {
    "wsd": _wsd,
    "cosine": _cosine,
    "cosine_warmup": _cosine,
    "linear": _linear,
    "constant": _constant,
}
