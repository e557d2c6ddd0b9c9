"""Derived seeds: one per purpose, hashed from the run's seed and the purpose's name, never ``seed + 1``."""

from __future__ import annotations

from assets_data.lineage.identity.order import stream_key

SEEDS = ("order", "model", "train", "validation")
"""Row order, initial weights, torch's generator (dropout, masks), choice of validation rows."""


def derived_seed(seed: int, name: str) -> int:
    """A 52-bit seed for one purpose."""
    return int(stream_key(seed, f"seed/{name}")) >> 12


def derived_seeds(seed: int) -> dict[str, int]:
    """The seed of every purpose of a run."""
    return {name: derived_seed(seed, name) for name in SEEDS}
