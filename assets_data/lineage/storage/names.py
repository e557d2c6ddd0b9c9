"""Names of things in a store: which are allowed, and which kind of snapshot a name may stand for."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import DataError, IntegrityError
from assets_data.lineage.identity.digests import is_object, load_json
from assets_data.lineage.storage.folders import file_bytes

_ID = re.compile("sha256:[0-9a-f]{64}")
PINS = "pins/"
_SEGMENT = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.-]{1,200}\Z")


@functools.lru_cache(maxsize=1 << 16)  # a look at a slice asks twenty times for five
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


def require_free(name: str) -> str:
    """A name that a person may give. Raises DataError STORE_NAME also below a root that stages keep for themselves."""
    if f"{require_name(name)}/".startswith(PINS):
        what = f"names below {PINS} are kept for what stages pin themselves"
        raise DataError("STORE_NAME", what, expected="such as text/triples/files-0", found=repr(name))
    return name


def read_pointer(path: Path) -> dict[str, Any]:
    """``{"snapshot", "receipt"}`` of what a name stands for. Raises IntegrityError POINTER_SHAPE for anything else."""
    try:
        document = load_json(file_bytes(path), path)
    except OSError as error:
        raise _no_pointer(path, str(error)) from error
    if not is_object(document) or document.keys() != {"snapshot", "receipt"}:
        raise _no_pointer(path, document)
    snapshot, receipt = document["snapshot"], document["receipt"]
    if not (isinstance(snapshot, str) and _ID.fullmatch(snapshot) and (receipt is None or isinstance(receipt, str))):
        raise _no_pointer(path, document)
    return document


@functools.lru_cache(maxsize=1 << 16)  # half a kilobyte each
def read_pointer_once(path: str, _seen: object) -> dict[str, Any]:
    """:func:`read_pointer` while the file stays as it was ``_seen``. What was read must not be changed."""
    return read_pointer(Path(path))


def _no_pointer(path: Path, found: Any) -> IntegrityError:
    what = "this does not say what the name stands for"
    action = "remove it and run the stage again, which finds the snapshot and names it"
    expected = "the id of a snapshot and its receipt"
    return IntegrityError("POINTER_SHAPE", what, expected=expected, found=found, where=path, action=action)
