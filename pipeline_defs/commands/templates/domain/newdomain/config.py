"""Settings of the domain's stages: frozen, typed, documented. A run overrides one by its dotted name, such as
``newdomain.rows.target=price``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assets_data.lineage import ConfigError, option


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Where the rows come from."""

    root: str = option("", "folder of CSV files, one slice each; empty: the rows that the domain makes itself")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Who is held out: a pure function of the group's name or the record's id, so what arrives later moves nobody."""

    by: Literal["group", "record"] = option("group", "what is kept together in one split")
    validation_share: float = option(0.15, "share of them in the validation split")
    test_share: float = option(0.2, "share of them in the test split")
    seed: int = option(7, "seed of the draw; another seed is another split")

    def __post_init__(self) -> None:
        held_out = (self.validation_share, self.test_share)
        if min(held_out) < 0 or sum(held_out) >= 1:
            what = "validation_share and test_share must not be negative and must leave room for training rows"
            raise ConfigError("NEWDOMAIN_SPLIT", what, found=held_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsConfig:
    """What a training row is made of."""

    target: str = option("y", "the column to predict; every other column of numbers is a feature")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """Everything between a raw slice and its rows. A stage reads the sections that it lists, and only those are in its
    receipt.
    """

    split: SplitConfig = option(SplitConfig(), "who is held out")
    rows: RowsConfig = option(RowsConfig(), "features and target")


SOURCES = {"smoke": SourceConfig, "demo": SourceConfig}
TABLES = {"smoke": TableConfig, "demo": TableConfig}
"""Presets: a name, and a function that gives a full config. A run asks every stage for the one of its own name."""
