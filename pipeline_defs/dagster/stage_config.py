"""Run config: a preset by name and dotted overrides, with every field of the stage documented in the launchpad."""

import dataclasses
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from assets_data.lineage import to_dict
from assets_data.lineage.config import field_names
from assets_data.stage import Stage
from pipeline_defs.dagster.metadata import rows_table

MEANING = 300  # characters of a field's meaning


class StageConfig(dg.Config):
    """What a run may choose for one stage; the resolved config goes into the receipt."""

    preset: str = Field(default="", description="Named starting point; empty: the stage's default one.")
    overrides: dict[str, Any] = Field(default={}, description="Dotted field names to values.")


def config_of(stage: Stage) -> type[dg.Config]:
    """The stage's own run config: its presets are choices, and another name is refused before anything runs."""
    named = stage.kind.replace("/", "_").title().replace("_", "")
    presets: Any = Enum(f"{named}Preset", {name: name for name in stage.presets or {}})  # Dagster knows types by name
    default = presets[stage.default_preset()]
    says = f"What it sets: {', '.join(read_fields(stage))}. See the asset's definition for types and meanings."
    return create_model(
        f"{named}Config",
        __base__=dg.Config,
        preset=(presets, Field(default=default, description="Named starting point.")),
        overrides=(dict[str, Any], Field(default={}, description=f"Dotted field names to values. {says}")),
    )


def resolved(stage: Stage, config: Any, recorded: Mapping[str, Any]) -> tuple[StageConfig, Any]:
    """What was asked for with its preset named, and the full config; ``recorded`` is taken for what nobody asked for.

    Raises ConfigError listing unknown presets, keys and values of a wrong type.
    """
    own = {} if config.overrides.keys() & recorded.keys() else recorded  # who names another source means another one
    preset = getattr(config.preset, "value", config.preset) or stage.default_preset()
    asked = StageConfig(preset=preset, overrides={**own, **config.overrides})
    return asked, stage.resolve(asked.preset, asked.overrides)


def read_fields(stage: Stage) -> list[str]:
    """Dotted names of all fields that the stage reads."""
    return [name for name in field_names(stage.config_type) if stage.reads(name)]


def describe_presets(stage: Stage) -> str:
    """One line for an asset's description."""
    if stage.presets is None:
        return ""
    return f"Presets: {', '.join(stage.presets)}. Every field: `stemma config fields {stage.kind}`."


def fields_table(stage: Stage) -> str:
    """Every field of the default preset with its type's value and meaning, as a markdown table."""
    config = stage.resolve(stage.default_preset(), {})
    parts = [(f"{name}.", getattr(config, name)) for name in stage.sections] or [("", config)]
    return rows_table([row for prefix, part in parts for row in _field_rows(part, prefix)], MEANING)


def _field_rows(config: Any, prefix: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    values = to_dict(config)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            rows += _field_rows(value, f"{prefix}{field.name}.")
        else:
            shown = json.dumps(values[field.name])
            rows.append({"field": f"{prefix}{field.name}", "default": shown, "meaning": field.metadata.get("doc", "")})
    return rows
