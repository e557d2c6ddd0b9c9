"""Writing a receipt: what made a snapshot, of what, under which commit, settings and environment. Subjects are ids out;
``resolvedDependencies`` are the ids *actually read*, the outside files, the commit and the environment;
``externalParameters`` hold the whole config. Commit and environment are those the work began under;
what was another at its end is said beside them. Same content by another route: same id, another receipt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from assets_data.lineage.identity.digests import canonical_json, digest_bytes
from assets_data.lineage.receipts import code
from assets_data.lineage.receipts.receipt import (
    BUILD_TYPE,
    ENDED,
    LOCK,
    PREDICATE,
    RECEIPT_SCHEMAS,
    SOURCE,
    STATEMENT,
    TREE,
    SourcePart,
)
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a receipt says about one run of a stage, apart from its result. Make it before the work: the checkout and
    the environment are those of that moment.
    """

    stage: str
    code_version: str
    config: Mapping[str, Any]
    arguments: Mapping[str, Any]
    requested: Mapping[str, Any]
    parents: Mapping[str, list[Snapshot]]
    seeds: Mapping[str, int]
    sources: Sequence[SourcePart] = ()
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    tree: Mapping[str, Any] = field(default_factory=lambda: code.commit())
    environment: Mapping[str, Any] = field(default_factory=lambda: code.environment())

    @property
    def parent_ids(self) -> dict[str, list[str]]:
        """``{input name: [snapshot id, ...]}`` as read."""
        return {name: [snapshot.id for snapshot in group] for name, group in self.parents.items()}


def statement(build: Build, result: Snapshot) -> dict[str, Any]:
    """The in-toto Statement for ``result``: plain JSON, ready for canonical form or for a DSSE envelope."""
    byproducts = [{"name": "environment", "annotations": dict(build.environment)}]
    if ended := code.changes_since(build.tree, build.environment):
        byproducts.append({"name": ENDED, "annotations": ended})
    parameters = {
        "stage": build.stage,
        "config": build.config,
        "arguments": build.arguments,
        "requested": build.requested,
    }
    return {
        "_type": STATEMENT,
        "subject": [{"name": result.kind, "digest": {"sha256": _hex(result.id)}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {
                    "code_version": build.code_version,
                    "seeds": build.seeds,
                    "schema": RECEIPT_SCHEMAS[-1],
                },
                "resolvedDependencies": [*_parents(build), *_sources(build), *_tools(build)],
            },
            "runDetails": {
                "builder": {"id": "urn:stemma:builder:local"},
                "metadata": {"startedOn": _time(build.started), "finishedOn": _time(datetime.now(UTC))},
                "byproducts": byproducts,
            },
        },
    }


def write_receipt(folder: Path, build: Build, result: Snapshot) -> Path:
    """Write the receipt under ``folder/<subject hex>/<receipt hex>.json`` and return its path."""
    data = canonical_json(statement(build, result))
    path = folder / _hex(result.id) / f"{_hex(digest_bytes(data))}.json"
    atomic.write_bytes(path, data)
    return path


def public_uri(uri: str) -> str:
    """An address without what may be a secret: user and password, query and fragment."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _sources(build: Build) -> list[dict[str, Any]]:
    return [
        {"name": f"{SOURCE}={part.name}", "digest": {"sha256": _hex(part.sha256)}, "uri": public_uri(part.uri)}
        for part in build.sources
    ]


def _parents(build: Build) -> list[dict[str, Any]]:
    return [
        {"name": f"{name}={snapshot.kind}", "digest": {"sha256": _hex(snapshot.id)}}
        for name, group in build.parents.items()
        for snapshot in group
    ]


def _tools(build: Build) -> list[dict[str, Any]]:
    git = build.tree
    lock = {"name": LOCK, "digest": {"sha256": _hex(build.environment["lock"])}}
    tree: dict[str, Any] = {"name": TREE, "digest": {}, "annotations": {"dirty": git["dirty"]}}
    if git["commit"]:
        tree["digest"]["gitCommit"] = git["commit"]
    if git["diff"]:
        tree["digest"]["sha256"] = _hex(git["diff"])
    return [tree, lock]


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
