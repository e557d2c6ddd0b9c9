"""What a receipt says, as typed fields: an in-toto Statement v1 with the SLSA provenance v1 predicate.

There is one receipt for every time that a stage made something: ``writer`` writes it, ``reader`` reads it strictly.

Since schema 3 a receipt and the files it is about hold each other: it names every published file with its SHA-256,
``snapshot.json`` among them, and ``snapshot.json`` holds the digest over all else that the receipt says of the making.
It also names the receipts of its parents, so that one receipt binds everything below it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets_data.lineage.identity.digests import digest_json

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:stemma:stage:v1"
RECEIPT_SCHEMAS = (1, 2, 3)
"""Every version ever released stays readable. 2 may say what moved during the work; 3 names every published file and,
of every parent, the receipts that were there when it was read.
"""
TREE, LOCK, SOURCE = "source-tree", "environment-lock", "source"
WITHDRAWN_FROM = "withdrawn_from"  # an input of older receipts: the snapshot that records were taken out of
ENVIRONMENT, ENDED, REPLACES, FILE = "environment", "at-the-end", "replaces", "file"


@dataclass(frozen=True, slots=True)
class Parent:
    """A snapshot that was read: under which input name, of which kind, its id, and the receipts (64 hex characters)
    that said how it was made.
    """

    input: str
    kind: str
    id: str
    receipts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourcePart:
    """A file from outside that was read: its name, SHA-256 (64 hex characters) and address, if it has one."""

    name: str
    sha256: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """How ``subject`` came to be. ``path`` is the receipt's file, ``id`` its digest without the algorithm. Commit and
    environment are those the work began under; ``ended`` has what of them was another when it ended (see
    ``code.changes_since``).

    ``files`` are name -> SHA-256 (64 hex characters) of every published file, ``snapshot.json`` among them; empty in
    receipts of schema 1 and 2, which name none. ``replaces`` are receipts of the same content whose files are gone.
    ``made`` is the digest over all that was known before there were files; ``snapshot.json`` holds it, too.
    """

    path: Path
    id: str
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
    ended: Mapping[str, Any] = field(default_factory=dict[str, Any])
    started: str
    finished: str
    schema: int = 1
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    replaces: tuple[str, ...] = ()
    made: str = ""


def made_digest(predicate: Mapping[str, Any], digest: Callable[[Any], str] = digest_json) -> str:
    """The ``digest`` of a predicate without the published files, which are only known once they are written."""
    details = predicate["runDetails"]
    beside = [entry for entry in details["byproducts"] if entry["name"] in (ENVIRONMENT, ENDED)]
    return digest({**predicate, "runDetails": {**details, "byproducts": beside}})
