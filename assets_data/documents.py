"""The JSON documents that snapshots of every domain and recipe hold, read with their version and shape checked.

A document of a later version, or with another kind of value where a field is known, is refused as it is read; a field
that is not there is refused where it is asked for by ``document[name]``, while ``document.get(name)`` is for one that
older versions did not write. What a layout says is each domain's own, and its shape stands in the domain's ``read.py``.
"""

from __future__ import annotations

import typing
from typing import Any, NoReturn, TypedDict, TypeVar

from assets_data.lineage import IntegrityError, Snapshot

LAYOUT, MANIFEST, REGISTRATION = "layout.json", "manifest.json", "registration.json"
FACTS, RESULT, NOTES = "training.json", "result.json", "parts.json"
VERSIONS = {LAYOUT: 1, MANIFEST: 1, REGISTRATION: 2, FACTS: 2, RESULT: 2}
"""The latest version of each that this code reads; one without ``schema_version`` is of the first."""

Shape = TypeVar("Shape")


class Manifest(TypedDict):
    """What a dataset is made of: ids of its ``members`` by role (a role of slices has them by name), rows by split. The
    fields after ``checks`` are of some domains only.
    """

    members: dict[str, Any]
    splits: dict[str, Any]
    checks: list[Any]
    slices: list[str]
    groups: dict[str, Any]
    split_by: str
    space: dict[str, Any]
    origin: str
    licence: str


class Registration(TypedDict):
    """What a preflight fixed before the first update; ``errors`` are ``[code, path, message]``."""

    recipe: str
    ok: bool
    errors: list[Any]
    config: dict[str, Any]
    inputs: dict[str, str]
    dataset: dict[str, Any]
    evaluation: dict[str, Any]
    model_inputs: dict[str, Any]
    leaks: list[Any]


class Facts(TypedDict):
    """What a training wrote down beside its weights: what went in, where it ran, what came out."""

    run_id: str
    recipe: str
    inputs: dict[str, str]
    preflight: str
    origin: dict[str, Any]
    corpus: dict[str, Any]
    order: dict[str, Any]
    model_inputs: dict[str, Any]
    environment: dict[str, Any]
    profile: dict[str, Any]
    result: dict[str, Any]
    updates: int
    parameters: int


class Result(TypedDict):
    """What a gate said: ``gate`` has verdict and criteria, ``metrics`` scalars and tables, ``summary`` lines."""

    config: dict[str, Any]
    gate: dict[str, Any]
    metrics: dict[str, Any]
    metadata: dict[str, Any]
    summary: list[str]


class SourceNotes(TypedDict):
    """What a source stage may note of what it read: origin, licence, and of each part ``bytes`` and more."""

    origin: str
    licence: str
    parts: list[dict[str, Any]]


def read_source_notes(snapshot: Snapshot) -> SourceNotes | None:
    """None where the source noted nothing, or a domain keeps something else under that name."""
    values = snapshot.read_json(NOTES) if NOTES in snapshot.files else None
    if not isinstance(values, dict) or not all(isinstance(values.get(name), str) for name in ("origin", "licence")):
        return None
    parts = values.get("parts")
    sized = isinstance(parts, list) and all(isinstance(p, dict) and isinstance(p.get("bytes"), int) for p in parts)
    return typing.cast(SourceNotes, values) if sized else None


def read_layout(snapshot: Snapshot, shape: type[Shape]) -> Shape:
    """What a reader of a table's rows must know, in the TypedDict of its domain. Raises as :func:`read_manifest`."""
    return typing.cast(Shape, _read(snapshot, LAYOUT, shape))


def read_manifest(snapshot: Snapshot) -> Manifest:
    """Of a dataset manifest. Raises IntegrityError DOCUMENT_VERSION, DOCUMENT_SHAPE, and later DOCUMENT_FIELD."""
    return typing.cast(Manifest, _read(snapshot, MANIFEST, Manifest))


def read_registration(preflight: Snapshot) -> Registration:
    """Of a preflight report. Raises as :func:`read_manifest`."""
    return typing.cast(Registration, _read(preflight, REGISTRATION, Registration))


def read_facts(checkpoint: Snapshot) -> Facts:
    """Of a checkpoint. Raises as :func:`read_manifest`."""
    return typing.cast(Facts, _read(checkpoint, FACTS, Facts))


def read_result(report: Snapshot) -> Result:
    """Of a gate report. Raises as :func:`read_manifest`."""
    return typing.cast(Result, _read(report, RESULT, Result))


class _Document(dict[str, Any]):
    """A document whose missing fields are errors with a code."""

    def __init__(self, values: dict[str, Any], where: object) -> None:
        super().__init__(values)
        self._where = where

    def __missing__(self, name: str) -> NoReturn:
        what = "this document does not say what is asked of it"
        raise IntegrityError("DOCUMENT_FIELD", what, expected=name, found=sorted(self), where=self._where)


def _read(snapshot: Snapshot, name: str, shape: type) -> _Document:
    values, where = snapshot.read_json(name), snapshot.path / name
    if not isinstance(values, dict):
        found = type(values).__name__
        raise IntegrityError("DOCUMENT_SHAPE", "this document is no object", found=found, where=where)
    version = values.get("schema_version", 1)
    if not isinstance(version, int) or not 1 <= version <= VERSIONS[name]:
        what, action = "another version of Stemma wrote this document", "read it with that version, or a later one"
        expected = f"1 to {VERSIONS[name]}"
        raise IntegrityError("DOCUMENT_VERSION", what, expected=expected, found=version, where=where, action=action)
    for field, hint in typing.get_type_hints(shape).items():
        kind = typing.get_origin(hint) or hint
        if kind is not Any and field in values and not isinstance(values[field], kind):
            what, found = f"{field} of this document is something else", type(values[field]).__name__
            raise IntegrityError("DOCUMENT_SHAPE", what, expected=kind.__name__, found=found, where=where)
    return _Document(values, where)
