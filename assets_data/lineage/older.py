"""Configs as documents of an older version hold them. What a person writes today is read by ``from_dict`` alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from assets_data.lineage.config import from_dict, type_hints
from assets_data.lineage.identity.digests import is_object

T = TypeVar("T")
_ABSENT = object()


def from_recorded(cls: type[T], values: Mapping[str, Any]) -> T:
    """``cls`` from the JSON form that a receipt, a registration or a checkpoint of this or an older version holds.

    A config class may say ``FORMERLY = "train.loss"``: a field of that class takes what is there where the document has
    nothing under the field's own name. What a class lists in ``GONE`` is left out. Raises ConfigError as ``from_dict``.
    """
    taken = _copied(values)
    for name, kind in type_hints(cls).items():
        before = getattr(kind, "FORMERLY", "")
        value = _taken_out(taken, before) if before and name not in taken else _ABSENT
        if value is not _ABSENT:
            taken[name] = value
    _leave_out_gone(cls, taken)
    return from_dict(cls, taken)


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if is_object(value) else value for name, value in values.items()}


def _taken_out(values: dict[str, Any], dotted: str) -> Any:
    *parents, last = dotted.split(".")
    target: Any = values
    for name in parents:
        target = target.get(name) if is_object(target) else None
    return target.pop(last, _ABSENT) if is_object(target) else _ABSENT


def _leave_out_gone(cls: Any, values: dict[str, Any]) -> None:
    for name in getattr(cls, "GONE", ()):
        values.pop(name, None)
    for name, kind in type_hints(cls).items():
        if dataclasses.is_dataclass(kind) and is_object(inner := values.get(name)):
            _leave_out_gone(kind, inner)
