"""Configuration: frozen dataclasses to and from JSON, dotted overrides. All unknown keys and wrong types at once.

A config class is a frozen dataclass (``slots``, ``kw_only``) whose fields are made by :func:`option`; nested config
classes nest as objects. Nothing is coerced except int to float and list to tuple, the two that JSON forces.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

from assets_data.lineage.errors import ConfigError
from assets_data.lineage.identity.digests import is_object

T = TypeVar("T")
_SHOWN = 200  # characters of a value in a message


def option(default: Any, doc: str) -> Any:
    """A config field with its default and one line of documentation (kept in ``metadata["doc"]``)."""
    return dataclasses.field(default=default, metadata={"doc": doc})


def to_dict(config: Any) -> dict[str, Any]:
    """The JSON form of a config: nested objects for nested configs, lists for tuples."""
    return {f.name: _to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}


def read_sections(config: Any, sections: Sequence[str]) -> dict[str, Any]:
    """The JSON form of some sections of a config; of all of it where none is named."""
    return {name: _to_json(getattr(config, name)) for name in sections} if sections else to_dict(config)


def from_dict(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build ``cls`` from its JSON form. Raises ConfigError listing every unknown key and every wrong type."""
    problems: list[str] = []
    config = _build(cls, values, "", problems)
    if problems:
        raise ConfigError(
            "CONFIG_UNKNOWN_KEY" if any("unknown key" in p for p in problems) else "CONFIG_BAD_VALUE",
            f"{cls.__name__}: " + "; ".join(problems),
            action="use only the fields that are named",
        )
    return config


def with_overrides(config: T, overrides: Mapping[str, Any]) -> T:
    """``config`` with dotted keys replaced (``{"model.d_model": 64}``), the rest as it is. Errors as in
    :func:`from_dict`.
    """
    values = to_dict(config)
    for dotted, value in overrides.items():
        *parents, last = dotted.split(".")
        target = values
        for name in parents:
            target = target.get(name) if is_object(target) else None
        if not is_object(target):
            raise ConfigError("CONFIG_UNKNOWN_KEY", f"{type(config).__name__} has no section {'.'.join(parents)!r}")
        target[last] = value
    return _kept(config, from_dict(type(config), values))


def _kept(before: T, after: T) -> T:
    """``after``, with the values of ``before`` wherever both say the same in JSON, which has no word for a tuple."""
    if not dataclasses.is_dataclass(before) or type(before) is not type(after):
        return after
    pairs = {f.name: (getattr(before, f.name), getattr(after, f.name)) for f in dataclasses.fields(before)}
    same = {
        name: old if repr(_to_json(old)) == repr(_to_json(new)) else _kept(old, new)
        for name, (old, new) in pairs.items()
    }
    return dataclasses.replace(after, **same)  # type: ignore[type-var]


def has_field(cls: type, dotted: str) -> bool:
    """Whether a config class has a field of this dotted name, in any alternative of a union; a mapping has any key."""
    kinds: list[Any] = [cls]
    for name in dotted.split("."):
        hints = [type_hints(kind).get(name) for kind in kinds if dataclasses.is_dataclass(kind)]
        kinds = [kind for hint in hints if hint is not None for kind in _alternatives(hint)]
        if any(typing.get_origin(kind) in (dict, Mapping) for kind in kinds):
            return True
    return bool(kinds)


def field_names(cls: type, prefix: str = "") -> list[str]:
    """Dotted names of all fields that hold values, through nested configs and every alternative of a union."""
    found: dict[str, None] = {}
    hints = type_hints(cls)
    for field in dataclasses.fields(cls):
        nested = [kind for kind in _alternatives(hints[field.name]) if dataclasses.is_dataclass(kind)]
        for kind in nested:
            found |= dict.fromkeys(field_names(kind, f"{prefix}{field.name}."))  # type: ignore[arg-type]
        if not nested:
            found[f"{prefix}{field.name}"] = None
    return list(found)


def dotted_values(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested mappings by dotted name; an empty mapping is a value."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if is_mapping(value) and value:
            flat |= dotted_values(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def resolve(presets: Mapping[str, Callable[[], T]], preset: str, overrides: Mapping[str, Any]) -> T:
    """The full config a run uses: a preset by name, then dotted overrides. Raises ConfigError for an unknown preset."""
    if preset not in presets:
        raise ConfigError("CONFIG_UNKNOWN_PRESET", "no such preset", expected=f"one of {sorted(presets)}", found=preset)
    return with_overrides(presets[preset](), overrides)


def _to_json(value: Any) -> Any:
    if value is None or type(value) in _SCALARS:  # most values; each slice of a chain asks for its configs
        return value
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if is_mapping(value):
        return {key: _to_json(item) for key, item in value.items()}
    return [_to_json(item) for item in value] if _is_list(value) else value


_SCALARS = frozenset((str, int, float, bool))


def is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value is a section: its keys are names of fields."""
    return isinstance(value, Mapping)


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, tuple | list)


@functools.cache
def type_hints(cls: type) -> Mapping[str, Any]:
    """The types of a config class's fields by name."""
    return typing.get_type_hints(cls)


def _build(cls: type, values: Mapping[str, Any], prefix: str, problems: list[str]) -> Any:
    hints = type_hints(cls)
    problems += [_unknown_key(prefix, key, hints) for key in values if key not in hints]
    known = {k: _convert(hints[k], v, f"{prefix}{k}", problems) for k, v in values.items() if k in hints}
    return None if problems else cls(**known)


def _unknown_key(prefix: str, key: str, hints: Mapping[str, Any]) -> str:
    """The key, the field that was probably meant, and the fields of its own level."""
    near = difflib.get_close_matches(str(key), hints, 1)
    meant = f"did you mean {prefix}{near[0]}? " if near else ""
    return f"unknown key {prefix}{key!r} ({meant}{prefix or 'it'} has {', '.join(hints)})"


def _convert(hint: Any, value: Any, path: str, problems: list[str]) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(args, value, path, problems)
    if dataclasses.is_dataclass(hint) and is_mapping(value):
        return _build(hint, value, f"{path}.", problems)  # type: ignore[arg-type]
    if origin is tuple and _is_list(value):
        return tuple(_convert(args[0], item, f"{path}[{i}]", problems) for i, item in enumerate(value))
    if origin is typing.Literal and value in args:
        return value
    if origin in (dict, Mapping) and is_mapping(value):
        return dict(value)
    if hint in (int, float) and type(value) in (int, float) and not _is_storable(value):
        problems.append(f"{path} must be {_STORABLE[hint]}, not {_json_text(value)}")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if hint is typing.Any or (isinstance(hint, type) and type(value) is hint):
        return value
    problems.append(f"{path} must be {_in_words(hint)}, not {_json_text(value)}")
    return value


_STORABLE = {int: "a whole number between -2**53 and 2**53", float: "a finite number"}


def _is_storable(value: float) -> bool:
    """Whether a receipt can hold a number: whole ones as doubles do, none that is infinite or no number."""
    return abs(value) < 1 << 53 if isinstance(value, int) else math.isfinite(value)


def _in_words(hint: Any) -> str:
    """A type as a person who writes JSON or TOML knows it."""
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_in_words(arg) for arg in args)
    if origin is tuple:
        return f"a list of which each is {_in_words(args[0])}"
    if origin is typing.Literal:
        return f"one of {', '.join(map(_json_text, args))}"
    if dataclasses.is_dataclass(hint) or origin in (dict, Mapping):
        return "an object with fields of its own"
    return words.get(hint, str(hint))


def _json_text(value: Any) -> str:
    text = json.dumps(_to_json(value), ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _convert_union(args: tuple[Any, ...], value: Any, path: str, problems: list[str]) -> Any:
    if is_mapping(value) and (configs := [arg for arg in args if dataclasses.is_dataclass(arg)]):
        meant = max(configs, key=lambda cls: len(value.keys() & {f.name for f in dataclasses.fields(cls)}))
        return _build(meant, value, f"{path}.", problems)  # type: ignore[arg-type]
    for arg in args:
        trial: list[str] = []
        converted = None if arg is type(None) and value is None else _convert(arg, value, path, trial)
        if not trial and (converted is not None or value is None):
            return converted
    problems.append(f"{path} must be {' or '.join(map(_in_words, args))}, not {_json_text(value)}")
    return value
