"""Writing a receipt: what made a snapshot, of what, under which commit, settings and environment. Subjects are ids out;
``resolvedDependencies`` are the ids *actually read*, the outside files, the commit and the environment;
``externalParameters`` hold the whole config. Commit and environment are those the work began under;
what was another at its end is said beside them. Same content by another route: same id, another receipt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import canonical_json, digest_bytes
from assets_data.lineage.receipts import code
from assets_data.lineage.receipts.byproducts import file_digests, file_entries
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.receipts.receipt import (
    BUILD_TYPE,
    ENDED,
    ENVIRONMENT,
    LOCK,
    PREDICATE,
    RECEIPT_SCHEMAS,
    REPLACES,
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


def predicate(build: Build) -> dict[str, Any]:
    """What a receipt says of the making, once the work has ended and before its files are named: plain JSON."""
    byproducts = [{"name": ENVIRONMENT, "annotations": dict(build.environment)}]
    if ended := code.changes_since(build.tree, build.environment):
        byproducts.append({"name": ENDED, "annotations": ended})
    parameters = {
        "stage": build.stage,
        "config": build.config,
        "arguments": build.arguments,
        "requested": build.requested,
    }
    inside = {"code_version": build.code_version, "seeds": build.seeds, "schema": RECEIPT_SCHEMAS[-1]}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": parameters,
            "internalParameters": inside,
            "resolvedDependencies": [*_parents(build), *_sources(build), *_tools(build)],
        },
        "runDetails": {
            "builder": {"id": "urn:stemma:builder:local"},
            "metadata": {"startedOn": _time(build.started), "finishedOn": _time(datetime.now(UTC))},
            "byproducts": byproducts,
        },
    }


def statement(said: Mapping[str, Any], result: Snapshot, replaces: Sequence[str] = ()) -> dict[str, Any]:
    """The in-toto Statement about ``result``: what was said of the making (see :func:`predicate`), and every file."""
    details = said["runDetails"]
    named = [{"name": REPLACES, "annotations": {"receipts": list(replaces)}}] if replaces else []
    byproducts = [*details["byproducts"], *named, *file_entries(result)]
    return {
        "_type": STATEMENT,
        "subject": [{"name": result.kind, "digest": {"sha256": _hex(result.id)}}],
        "predicateType": PREDICATE,
        "predicate": {**said, "runDetails": {**details, "byproducts": byproducts}},
    }


def write_receipt(folder: Path, said: Mapping[str, Any], result: Snapshot) -> Path:
    """Write the receipt under ``folder/<subject hex>/<receipt hex>.json`` and return its path.

    It says of earlier receipts about the same content that name other files that theirs are gone.
    """
    data = canonical_json(statement(said, result, _outdated(folder / _hex(result.id), result)))
    path = folder / _hex(result.id) / f"{_hex(digest_bytes(data))}.json"
    atomic.write_bytes(path, data)
    return path


def _outdated(folder: Path, result: Snapshot) -> list[str]:
    """Receipts in a folder that name other files than the result's."""
    found, files = list[str](), file_digests(result)
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(IntegrityError):  # what cannot be read speaks for nothing
            receipt = read_receipt(path)
            found += [receipt.id] if receipt.files and receipt.files != files else []
    return found


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
        {
            "name": f"{name}={snapshot.kind}",
            "digest": {"sha256": _hex(snapshot.id)},
            "annotations": {"receipts": _receipts_of(snapshot)},
        }
        for name, group in build.parents.items()
        for snapshot in group
    ]


def _receipts_of(snapshot: Snapshot) -> list[str]:
    """The receipts about a snapshot, by name: the one it was found by, else every one in its store."""
    if snapshot.receipt:
        return [snapshot.receipt.stem]
    return sorted(path.stem for path in (snapshot.path.parents[1] / "receipts" / snapshot.path.name).glob("*.json"))


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
