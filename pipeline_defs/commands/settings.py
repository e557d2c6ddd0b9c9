"""A run's overrides: from one TOML or JSON file and from ``PATH=JSON`` settings, and which stages each is for.

A path is ``DOMAIN.STAGE.FIELD`` or ``RECIPE.FIELD``: ``text.triples.window``, ``walk_lm.train.updates``. Shorter paths
do while they are unambiguous among the stages of the chain: ``triples.window``, ``raw_slice.source``.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from assets_data.lineage import ConfigError
from assets_data.lineage.config import dotted_values, field_names, has_field
from assets_data.lineage.identity.digests import why_unreadable
from assets_data.sources.signature import HEAD_BYTES, described
from assets_data.stage import Stage

Settings = Mapping[str, Any]
"""Dotted path to value."""


def read_settings(path: Path) -> dict[str, Any]:
    """The file's settings. Raises ConfigError SETTINGS_FILE when it is not there or says something else."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        document = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text, object_pairs_hook=_only_once)
    except (OSError, ValueError, RecursionError) as error:  # both parsers' errors, and text that is not UTF-8
        what = f"cannot read the settings: {_why(error)}"
        raise ConfigError("SETTINGS_FILE", what, expected="a .toml or .json file", where=path) from error
    if not isinstance(document, dict) or not all(isinstance(fields, dict) for fields in document.values()):
        raise ConfigError("SETTINGS_FILE", "settings are a table per stage, such as [raw_slice]", where=path)
    return dotted_values(document)


def _why(error: Exception) -> str:
    """What is wrong with a settings file, in words that say nothing of Python."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8, but {described(bytes(error.object)[:HEAD_BYTES])}"
    return why_unreadable(error)


def chosen_settings(file: Path | None, settings: Iterable[str]) -> dict[str, Any]:
    """The file's settings, if there is one, and those of the command line, which win over it."""
    return {**(read_settings(file) if file else {}), **parse_settings(settings)}


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """``PATH=JSON`` settings; what is not JSON is taken as text. Raises ConfigError SETTING_SHAPE or SETTING_TWICE."""
    found: dict[str, Any] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not (equals and path.partition(".")[2]):
            what = "a setting is PATH=JSON, such as text.triples.window=256"
            raise ConfigError("SETTING_SHAPE", what, found=setting)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if path in found and found[path] != value:
            what, action = "a setting is given twice, with two values", "leave one of them out"
            raise ConfigError("SETTING_TWICE", what, found=path, action=action)
        found[path] = value
    return found


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; raises ValueError where a name stands in it twice, of which Python would keep the last."""
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice!r} is there twice")
    return dict(pairs)


def stage_overrides(settings: Settings, stages: Sequence[Stage]) -> dict[str, dict[str, Any]]:
    """What the settings change in each stage's config: kind to dotted field to value, for stages that take a config.

    Raises ConfigError SETTING_UNKNOWN for a path that leads to none of them, SETTING_AMBIGUOUS for one that leads to
    several that do not share the field.
    """
    found: dict[str, dict[str, Any]] = {stage.kind: {} for stage in stages if stage.presets is not None}
    for path, value in settings.items():
        for stage, field in _meant(path, [stage for stage in stages if stage.presets is not None]):
            found[stage.kind][field] = value
    return found


def _meant(path: str, stages: Sequence[Stage]) -> list[tuple[Stage, str]]:
    hits = [(stage, field) for stage in stages for field in _fields(path, stage)]
    if not hits:
        raise _unknown(path, stages)
    if len({(id(stage.presets), field) for stage, field in hits}) > 1:
        listed = [f"{stage.kind.replace('/', '.')}.{field}" for stage, field in hits]
        what = "this setting could be for several stages"
        raise ConfigError("SETTING_AMBIGUOUS", what, expected=f"one of {listed}", found=path)
    return hits


def _fields(path: str, stage: Stage) -> Iterable[str]:
    """The field of the stage's config that a path means, if it means one."""
    for prefix in _prefixes(stage):
        if path.startswith(f"{prefix}."):
            rest = path.removeprefix(f"{prefix}.")
            for field in (rest, *(f"{section}.{rest}" for section in stage.sections)):
                if _has(stage, field):
                    yield field
                    return


def _prefixes(stage: Stage) -> Iterable[str]:
    """What may stand before a field: its owner and name, either alone, longest first."""
    yield f"{stage.owner}.{stage.name}"
    yield from (stage.name, stage.owner)


def _has(stage: Stage, field: str) -> bool:
    """Whether the stage's config has such a field, and the stage reads it."""
    read = not stage.sections or field.partition(".")[0] in stage.sections
    return read and has_field(stage.config_type, field)


def _unknown(path: str, stages: Sequence[Stage]) -> ConfigError:
    matched = {stage.kind: _matched(path, stage) for stage in stages}
    longest = max(matched.values(), default=0)
    named = [stage for stage in stages if longest and matched[stage.kind] == longest]
    if not named:
        known = sorted({stage.kind.replace("/", ".") for stage in stages})
        return ConfigError("SETTING_UNKNOWN", "no stage of this chain has this name", expected=known, found=path)
    exact = [stage for stage in named if path.startswith(f"{stage.owner}.{stage.name}.")]
    named = exact or named
    fields = sorted({field for stage in named for field in _listed(stage)})
    near = _near(path, fields)
    owner = next((stage for stage in named if near and near in _listed(stage)), named[0])
    short = near.removeprefix(f"{owner.sections[0]}.") if near and len(owner.sections) == 1 else near
    action = f"did you mean {owner.kind.replace('/', '.')}.{short}?" if near else None
    return ConfigError("SETTING_UNKNOWN", "no such field", expected=_level(path, fields), found=path, action=action)


def _matched(path: str, stage: Stage) -> int:
    """How much of a path names the stage: its owner and name more than either alone."""
    return max((len(prefix) for prefix in _prefixes(stage) if path.startswith(f"{prefix}.")), default=0)


def _near(path: str, fields: Sequence[str]) -> str | None:
    """The field that was probably meant: of the same last name, or spelt much like it."""
    last = path.rpartition(".")[2]
    same = next((field for field in fields if field.rpartition(".")[2] == last), None)
    close = difflib.get_close_matches(last, [field.rpartition(".")[2] for field in fields], 1)
    return same or next((field for field in fields if close and field.rpartition(".")[2] == close[0]), None)


def _level(path: str, fields: Sequence[str]) -> Sequence[str]:
    """The fields of the section that the path leads into; all where it leads into none."""
    for parent in reversed([path.rpartition(".")[0].split(".")[at:] for at in range(path.count("."))]):
        if own := [field for field in fields if field.startswith(f"{'.'.join(parent)}.")]:
            return own
    return fields


def _listed(stage: Stage) -> Iterable[str]:
    names = field_names(stage.config_type)
    return [name for name in names if not stage.sections or name.partition(".")[0] in stage.sections]
