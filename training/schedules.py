"""Learning-rate schedules by name: the factor of the peak rate at update ``s`` of ``T``. Pure functions, no state.

Owns the five curves. The floor ``lr_min_ratio`` holds for all of them once warm-up is over.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from assets_data.lineage import ConfigError
from training.config import ScheduleConfig


def lr_factor(config: ScheduleConfig, update: int, total: int) -> float:
    """The factor for ``update`` (from 0) of ``total``. Raises ConfigError SCHEDULE_UNKNOWN listing the names."""
    curve = SCHEDULES.get(config.name)
    if curve is None:
        raise ConfigError(
            "SCHEDULE_UNKNOWN", "no such schedule", expected=f"one of {sorted(SCHEDULES)}", found=config.name
        )
    if update < config.warmup and total > config.warmup:
        return update / config.warmup
    return max(config.lr_min_ratio, curve(update, config.warmup, total, config.lr_min_ratio))


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
