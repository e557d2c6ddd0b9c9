"""Names of things in a store: which are allowed, and which kind of snapshot a name may stand for."""

from __future__ import annotations

import re

from assets_data.lineage.errors import DataError

PINS = "pins/"
_SEGMENT = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.-]{1,200}\Z")


def is_name(name: str) -> bool:
    """Whether something could be a name: segments of letters, digits, ``_ . -`` between slashes, none of dots alone."""
    return 0 < len(name) <= 1000 and all(_SEGMENT.match(segment) for segment in name.split("/"))


def require_name(name: str) -> str:
    """The name itself. Raises DataError STORE_NAME for what :func:`is_name` refuses."""
    if not is_name(name):
        what = "a name is segments of letters, digits, '_', '.' and '-' between slashes"
        raise DataError("STORE_NAME", what, expected="such as text/triples/files-0", found=repr(name))
    return name


def require_kind(name: str, kind: str) -> None:
    """Raise DataError STORE_NAME_KIND unless ``name`` is the kind itself, or the kind and what tells this one apart."""
    bare = name.removeprefix(PINS)
    if bare != kind and not bare.startswith(f"{kind}/"):
        what = "a name begins with the kind of what it stands for"
        raise DataError("STORE_NAME_KIND", what, expected=f"{kind} or {kind}/...", found=name)
