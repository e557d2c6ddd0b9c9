"""Members of a receipt's JSON, each of the type it must be; raises ValueError or TypeError for any other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from assets_data.lineage.identity.digests import is_object

HEX = {"sha256": re.compile(r"[0-9a-f]{64}\Z"), "gitCommit": re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")}


def keys(document: Mapping[str, Any], expected: set[str]) -> Mapping[str, Any]:
    """An object with these members and no others."""
    if set(document) != expected:
        raise ValueError(f"expected members {sorted(expected)}, found {sorted(document)}")
    return document


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {value!r}")
    return value


def whether(value: Any) -> bool | None:
    """True, false or null."""
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"expected true, false or null, found {value!r}")
    return value


def an_object(value: Any) -> Mapping[str, Any]:
    """An object."""
    if not is_object(value):
        raise TypeError(f"expected an object, found {value!r}")
    return value


def receipt_names(value: Any) -> tuple[str, ...]:
    """The member ``receipts`` of an object that has no other: names of 64 hex characters each."""
    given: object = keys(an_object(value), {"receipts"})["receipts"]
    names = tuple(map(text, cast("list[Any]", given))) if isinstance(given, list) else None
    if names is None or not all(map(HEX["sha256"].match, names)):
        raise ValueError("receipts are named by 64 hex characters each")
    return names
