"""Configs as JSON files, with changes, and with their length pinned. Works on any recipe's config."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from assets_data.lineage import from_dict, to_dict, with_overrides
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic

T = TypeVar("T")

with_updates = with_overrides
"""``config`` with dotted fields changed: ``with_updates(config, {"train.optimizer.lr": 1e-3})``."""


def save_config(config: Any, path: Path) -> None:
    """Write a config as canonical JSON, at once and durably."""
    atomic.write_json(path, to_dict(config))


def load_config(cls: type[T], path: Path) -> T:
    """Read what :func:`save_config` wrote. Raises ConfigError listing every unknown key and every wrong type."""
    return from_dict(cls, load_json(path.read_bytes(), path))


def pin_length(config: T, rows: int) -> T:
    """``config`` with ``train.epochs`` of ``rows`` rows turned into updates, rounded up; the same when already pinned.

    What is pinned no longer depends on the number of rows, so taking a row out cannot bend the schedule.
    """
    plan = config.train  # type: ignore[attr-defined]
    if plan.epochs is None or not rows:
        return config
    updates = math.ceil(plan.epochs * rows / plan.batch_rows)
    return replace(config, train=replace(plan, epochs=None, updates=updates))  # type: ignore[type-var]
