"""What a receipt says, as typed fields: the strict reader of receipts of every released schema version.

Promises that a document which parses has one subject, named SHA-256 digests and nothing that it does not understand.
Whether what it says is true is for ``queries`` to find out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import IntegrityError

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:stemma:stage:v1"
RECEIPT_SCHEMAS = (1, 2)  # every version ever released stays readable; 2 may say what moved during the work
TREE, LOCK, SOURCE = "source-tree", "environment-lock", "source"
WITHDRAWN_FROM = "withdrawn_from"  # an input of older receipts: the snapshot that records were taken out of
ENDED = "at-the-end"

_HEX = {"sha256": re.compile(r"[0-9a-f]{64}\Z"), "gitCommit": re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")}


@dataclass(frozen=True, slots=True)
class Parent:
    """A snapshot that was read: under which input name, of which kind, and its id."""

    input: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class SourcePart:
    """A file from outside that was read: its name, SHA-256 (64 hex characters) and address, if it has one."""

    name: str
    sha256: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """One account of how ``subject`` came to be. ``path`` is the receipt's file. Commit and environment are those the
    work began under; ``ended`` has what of them was another when it ended (see ``code.changes_since``).
    """

    path: Path
    subject: str
    stage: str
    config: Mapping[str, Any]
    arguments: Mapping[str, Any]
    requested: Mapping[str, Any]
    code_version: str
    seeds: Mapping[str, int]
    parents: tuple[Parent, ...]
    sources: tuple[SourcePart, ...]
    commit: str | None
    dirty: bool | None
    diff: str | None
    lock: str
    environment: Mapping[str, Any]
    ended: Mapping[str, Any] = field(default_factory=dict)
    started: str
    finished: str

    @property
    def id(self) -> str:
        """The receipt's own digest, without the algorithm."""
        return self.path.stem


def parse_receipt(document: Any, path: Path) -> Provenance:
    """The fields of a receipt. Raises IntegrityError RECEIPT_TYPE, _VERSION, _ALGORITHM or _SHAPE."""
    _require_types(document, path)
    try:
        return _parse(document, path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        what = f"a receipt's member is missing or of another type: {type(error).__name__} {error}"
        raise IntegrityError("RECEIPT_SHAPE", what, where=path) from error


def _parse(document: Mapping[str, Any], path: Path) -> Provenance:
    _keys(document, {"_type", "subject", "predicateType", "predicate"})
    (subject,) = document["subject"]
    _keys(subject, {"name", "digest"})
    predicate = _keys(document["predicate"], {"buildDefinition", "runDetails"})
    build = predicate["buildDefinition"]
    _keys(build, {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"})
    outside = _keys(build["externalParameters"], {"stage", "config", "arguments", "requested"})
    inside = _keys(build["internalParameters"], {"code_version", "seeds", "schema"})
    _require_schema(inside["schema"], path)
    if build["buildType"] != BUILD_TYPE or subject["name"] != outside["stage"]:
        raise ValueError("a receipt is of one stage, which its subject is named after")
    details = _keys(predicate["runDetails"], {"builder", "metadata", "byproducts"})
    _keys(details["metadata"], {"startedOn", "finishedOn"})
    _text(_keys(details["builder"], {"id"})["id"])
    environment, ended = _byproducts(details["byproducts"], inside["schema"])
    parents, sources, (tree, lock) = _dependencies(build["resolvedDependencies"], path)
    return Provenance(
        path=path,
        subject=f"sha256:{_digest(subject, path)['sha256']}",
        stage=_text(outside["stage"]),
        config=_object(outside["config"]),
        arguments=_object(outside["arguments"]),
        requested=_object(outside["requested"]),
        code_version=_text(inside["code_version"]),
        seeds=_object(inside["seeds"]),
        parents=parents,
        sources=sources,
        commit=_digest(tree, path).get("gitCommit"),
        dirty=_whether(tree["annotations"]["dirty"]),
        diff=_digest(tree, path).get("sha256"),
        lock=_digest(lock, path)["sha256"],
        environment=_object(environment["annotations"]),
        ended=_object(ended["annotations"]),
        started=_text(details["metadata"]["startedOn"]),
        finished=_text(details["metadata"]["finishedOn"]),
    )


def _dependencies(
    entries: list[Any], path: Path
) -> tuple[tuple[Parent, ...], tuple[SourcePart, ...], tuple[dict[str, Any], dict[str, Any]]]:
    """Parents, then source parts, then the tree and the lock: the order in which they are written."""
    *read, tree, lock = entries
    _keys(_keys(tree, {"name", "digest", "annotations"})["annotations"], {"dirty"})
    _keys(lock, {"name", "digest"})
    if (tree["name"], lock["name"]) != (TREE, LOCK):
        raise ValueError("the last two dependencies are the source tree and the environment's lock")
    parents: list[Parent] = []
    sources: list[SourcePart] = []
    for entry in read:
        digest, (role, _, name) = _digest(entry, path)["sha256"], entry["name"].partition("=")
        _keys(entry, {"name", "digest", *({"uri"} & set(entry))})
        if role == SOURCE and "uri" in entry:
            sources.append(SourcePart(name, digest, _text(entry["uri"])))
        else:
            parents.append(Parent(role, name, f"sha256:{digest}"))
    return tuple(parents), tuple(sources), (tree, lock)


def _byproducts(entries: list[Any], schema: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The environment, and what was another at the end, which schema 1 cannot say and schema 2 says where it was."""
    environment, *rest = entries
    ended = rest.pop() if rest and schema > 1 else {"name": ENDED, "annotations": {}}
    _keys(environment, {"name", "annotations"})
    _keys(ended, {"name", "annotations"})
    if rest or (environment["name"], ended["name"]) != ("environment", ENDED):
        raise ValueError("the byproducts are the environment and what was another at the end")
    return environment, ended


def _digest(entry: Mapping[str, Any], path: Path) -> dict[str, str]:
    """The digests of an entry, each of a known algorithm and of that algorithm's length."""
    for algorithm, value in entry["digest"].items():
        if algorithm not in _HEX or not isinstance(value, str) or not _HEX[algorithm].match(value):
            raise IntegrityError(
                "RECEIPT_ALGORITHM",
                "a digest is of an unknown algorithm or of a wrong length",
                expected="sha256 (64 hex) or gitCommit",
                found=f"{algorithm}:{value}",
                where=path,
            )
    return entry["digest"]


def _require_types(document: Any, path: Path) -> None:
    kinds = (document.get("_type"), document.get("predicateType")) if isinstance(document, dict) else (None, None)
    if kinds != (STATEMENT, PREDICATE):
        raise IntegrityError("RECEIPT_TYPE", "not an in-toto v1 provenance statement", found=kinds, where=path)


def _require_schema(found: Any, path: Path) -> None:
    if type(found) is not int or found not in RECEIPT_SCHEMAS:
        what = "written by another schema version"
        raise IntegrityError("RECEIPT_VERSION", what, expected=list(RECEIPT_SCHEMAS), found=found, where=path)


def _keys(document: Mapping[str, Any], expected: set[str]) -> Mapping[str, Any]:
    if set(document) != expected:
        raise ValueError(f"expected members {sorted(expected)}, found {sorted(document)}")
    return document


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {value!r}")
    return value


def _whether(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"expected true, false or null, found {value!r}")
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {value!r}")
    return value
