"""A run's overrides: from one TOML or JSON file, a table per stage, and from ``STAGE.FIELD=JSON`` settings."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import ConfigError

Overrides = Mapping[str, Mapping[str, Any]]
"""Stage to dotted field to value."""


def read_settings(path: Path) -> dict[str, dict[str, Any]]:
    """The file's overrides by stage. Raises ConfigError SETTINGS_FILE when it is not there or says something else."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:  # both parsers' errors, and text that is not UTF-8
        what = f"cannot read the settings: {error}"
        raise ConfigError("SETTINGS_FILE", what, expected="a .toml or .json file", where=path) from error
    if not isinstance(document, dict) or not all(isinstance(fields, dict) for fields in document.values()):
        raise ConfigError("SETTINGS_FILE", "settings are a table per stage, such as [raw_slice]", where=path)
    return {stage: _dotted(fields, "") for stage, fields in document.items()}


def merge_settings(below: Overrides, above: Overrides) -> dict[str, dict[str, Any]]:
    """Both, the fields of ``above`` winning."""
    return {stage: {**below.get(stage, {}), **above.get(stage, {})} for stage in [*below, *above]}


def chosen_overrides(file: Path | None, settings: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The file's overrides, if there is one, and the settings, which win over it."""
    return merge_settings(read_settings(file) if file else {}, parse_overrides(settings))


def parse_overrides(settings: Iterable[str]) -> dict[str, dict[str, Any]]:
    """``STAGE.FIELD=JSON`` settings as overrides by stage; what is not JSON is taken as text."""
    overrides: dict[str, dict[str, Any]] = {}
    for setting in settings:
        path, _, text = setting.partition("=")
        stage, _, field = path.partition(".")
        if not (field and text):
            raise SystemExit(f"stemma run: --set takes STAGE.FIELD=JSON, not {setting!r}")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        overrides.setdefault(stage, {})[field] = value
    return overrides


def _dotted(fields: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
