"""Run config: a preset by name and dotted overrides, with every field of the stage documented in the launchpad."""

import dataclasses
from typing import Any

import dagster as dg
from pydantic import Field

from assets_data.lineage import to_dict
from assets_data.stage import Stage


class StageConfig(dg.Config):
    """What a run may choose for one stage; the resolved config goes into the receipt."""

    preset: str = Field(default="", description="Named starting point; empty: the stage's default one.")
    overrides: dict[str, Any] = Field(default={}, description="Dotted field names to values.")


def resolved(stage: Stage, config: StageConfig) -> tuple[StageConfig, Any]:
    """What was asked for with its preset named, and the full config.

    Raises ConfigError listing unknown presets, keys and values of a wrong type.
    """
    asked = StageConfig(preset=config.preset or stage.default_preset(), overrides=config.overrides)
    return asked, stage.resolve(asked.preset, asked.overrides)


def describe_fields(stage: Stage) -> str:
    """Markdown for an asset's description: the presets, and each field with its type, default and meaning."""
    if stage.presets is None:
        return ""
    config = stage.presets[stage.default_preset()]()
    parts = [(f"{name}.", getattr(config, name)) for name in stage.sections] or [("", config)]
    lines = [line for prefix, part in parts for line in _field_lines(part, prefix)]
    return "\n".join([f"Presets: {', '.join(stage.presets)}. Overrides, with their defaults:", "", *lines])


def _field_lines(config: Any, prefix: str) -> list[str]:
    lines: list[str] = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            lines += _field_lines(value, f"{prefix}{field.name}.")
        else:
            shown = to_dict(config)[field.name]
            lines.append(f"- `{prefix}{field.name}` = `{shown}`: {field.metadata.get('doc', '')}")
    return lines
