"""What a receipt says, as typed fields: an in-toto Statement v1 with the SLSA provenance v1 predicate.

There is one receipt for every time that a stage made something: ``writer`` writes it, ``reader`` reads it strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:stemma:stage:v1"
RECEIPT_SCHEMAS = (1, 2)  # every version ever released stays readable; 2 may say what moved during the work
TREE, LOCK, SOURCE = "source-tree", "environment-lock", "source"
WITHDRAWN_FROM = "withdrawn_from"  # an input of older receipts: the snapshot that records were taken out of
ENDED = "at-the-end"


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
class Receipt:
    """How ``subject`` came to be. ``path`` is the receipt's file. Commit and environment are those the
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
