"""The page of settings: every field of every stage's config, its type, its value in each preset and its meaning."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from assets_data.lineage import to_dict
from assets_data.stage import Stage
from docs.generate.declared import owners
from docs.generate.markdown import code, table

HEAD = """# Settings

A path is `DOMAIN.STAGE.FIELD` or `RECIPE.FIELD`; shorter ones do while only one stage of the chain could be meant
(`triples.window`). Give them as `--set PATH=JSON`, or in a TOML or JSON file for `--config`, in which `[text.triples]`
holds `window = 256`. What is left out comes from the preset. An unknown path is an error that lists the fields.
"""
ABSENT = "—"


def fields_page() -> str:
    """One table per stage that takes settings: field, value in each preset, meaning."""
    parts = [HEAD]
    for owner, stages in owners().items():
        chosen = [stage for stage in stages if stage.presets]
        parts += [f"\n## {owner}\n" for _ in chosen[:1]]
        parts += [_section(stage) for stage in chosen]
    return "\n".join(parts)


def stage_fields(stage: Stage) -> Iterator[tuple[str, Any, dataclasses.Field[Any]]]:
    """``(dotted field, type, field)`` of what a stage reads, every alternative of a union taken apart."""
    for name, hint, field in _fields(stage.config_type, ""):
        if not stage.sections or name.partition(".")[0] in stage.sections:
            yield name, hint, field


def path(stage: Stage, field: str) -> str:
    """How a field is named on the command line; a stage's only section goes without saying."""
    if stage.name == "preflight_report":  # the only stage of a recipe with settings
        return f"{stage.owner}.{field}"
    (section,) = stage.sections if len(stage.sections) == 1 else ("",)
    return f"{stage.owner}.{stage.name}.{field.removeprefix(f'{section}.')}"


def _section(stage: Stage) -> str:
    presets = {name: to_dict(make()) for name, make in (stage.presets or {}).items()}
    rows = [
        (code(path(stage, name)), code(_type(hint)), *_values(presets, name), str(field.metadata.get("doc", "")))
        for name, hint, field in stage_fields(stage)
    ]
    return f"### {stage.kind}\n\n{table(('path', 'type', *presets, 'meaning'), rows)}"


def _values(presets: Mapping[str, dict[str, Any]], name: str) -> list[str]:
    """The value in each preset; where all agree, once and nothing after it."""
    values = [_value(document, name) for document in presets.values()]
    return [values[0], *[""] * (len(values) - 1)] if len(set(values)) == 1 else values


def _value(document: Any, name: str) -> str:
    for part in name.split("."):
        if not isinstance(document, Mapping) or part not in document:
            return ABSENT
        document = document[part]
    return code(json.dumps(document, ensure_ascii=False))


def _fields(cls: type, before: str) -> Iterator[tuple[str, Any, dataclasses.Field[Any]]]:
    hints = typing.get_type_hints(cls)
    seen: set[str] = set()
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        nested = [kind for kind in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(kind)]
        if not nested:
            yield f"{before}{field.name}", hint, field
        for kind in nested:
            for found in _fields(typing.cast(type, kind), f"{before}{field.name}."):
                if found[0] not in seen:
                    seen.add(found[0])
                    yield found


def _type(hint: Any) -> str:
    """A type as a person would write it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(json.dumps(value) for value in parts)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_type(part) for part in parts)
    if hint is type(None):
        return "none"
    if origin is tuple:
        return f"list of {_type(parts[0])}"
    return getattr(hint, "__name__", None) or str(hint)
