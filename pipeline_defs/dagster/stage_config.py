"""Run config: a preset by name and dotted overrides, with every field of the stage documented in the launchpad."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from assets_data.lineage import resolve, to_dict


class StageConfig(dg.Config):
    """What a run may choose for one stage; the resolved config goes into the receipt."""

    preset: str = Field(default="demo", description="Named starting point; `overrides` change single fields of it.")
    overrides: dict[str, Any] = Field(default={}, description="Dotted field names to values.")

    def resolve(self, presets: Mapping[str, Callable[[], Any]]) -> Any:
        """The full config. Raises ConfigError listing unknown presets, keys and values of a wrong type."""
        return resolve(presets, self.preset, self.overrides)


def describe_fields(presets: Mapping[str, Callable[[], Any]]) -> str:
    """Markdown for an asset's description: the presets, and each field with its type, ``demo`` value and meaning."""
    lines = [f"Presets: {', '.join(sorted(presets))}. Overrides (values of `demo` shown):", ""]
    return "\n".join(lines + _field_lines(presets["demo"](), ""))


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
