"""What a receipt says beside the making: the environment, what moved during the work, and every published file.

Writing them, reading them strictly in the one order that is accepted, and whether the files at hand are those named.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.canonical import encode_plain
from assets_data.lineage.receipts.members import HEX, an_object, keys, receipt_names, text
from assets_data.lineage.receipts.receipt import ENDED, ENVIRONMENT, FILE, REPLACES
from assets_data.lineage.storage.folders import file_bytes
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.snapshot_json import MANIFEST
from assets_data.lineage.storage.verified import settled_keys

_NAMES_FILES = f'"name":"{FILE}={MANIFEST}"'.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Byproducts:
    """See ``receipt.Receipt`` for each."""

    environment: Mapping[str, Any]
    ended: Mapping[str, Any] = field(default_factory=dict[str, Any])
    replaces: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict[str, str])


def parse_byproducts(entries: list[Any], schema: int) -> Byproducts:
    """The environment first; from schema 2 on what was another at the end, where something was; from schema 3 on the
    receipts whose files these stand in for, where there are any, and then every file, by name.
    """
    environment, *rest = entries
    found: dict[str, Any] = {}
    if schema > 1 and rest and rest[0].get("name") == ENDED:
        found["ended"] = an_object(_annotations(rest.pop(0), ENDED))
    if schema > 2:
        if rest and rest[0].get("name") == REPLACES:
            found["replaces"] = receipt_names(_annotations(rest.pop(0), REPLACES))
        found["files"], rest = _files(rest), []
    if rest:
        raise ValueError("more byproducts than this schema has")
    return Byproducts(environment=an_object(_annotations(environment, ENVIRONMENT)), **found)


def file_entries(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The byproducts that name a snapshot's files."""
    return [_entry(name, sha256) for name, sha256 in file_digests(snapshot).items()]


def file_digests(snapshot: Snapshot) -> dict[str, str]:
    """Name -> SHA-256 (64 hex characters) of every published file as listed, and of the list itself, by name."""
    files = {**{name: entry["sha256"] for name, entry in snapshot.files.items()}, MANIFEST: snapshot.listed}
    return {name: files[name].removeprefix("sha256:") for name in sorted(files)}


def require_named(snapshot: Snapshot, receipts: Sequence[Path]) -> None:
    """Raise IntegrityError RECEIPT_FILES where some of these receipts name files, and none of them the list at hand;
    RECEIPT_UNREADABLE where one is no file that can be read.

    Looks for the list's digest in the bytes of the receipts and parses none: it costs a twentieth of a millisecond.
    What has come to rest is read once while it stays as it is: the receipts of an ancestor of every slice name every
    slice, and are asked for with each of them.
    """
    seen = settled_keys(*receipts)
    (_require_named_once if seen else _require_named)(
        snapshot.id, snapshot.path, snapshot.listed, tuple(receipts), seen
    )


def _require_named(snapshot_id: str, folder: Path, listed: str, receipts: Iterable[Path], _seen: object) -> None:
    entry = encode_plain(_entry(MANIFEST, listed.removeprefix("sha256:")))
    raw = [_raw(path) for path in receipts]
    if any(_NAMES_FILES in data for data in raw) and not any(entry in data for data in raw):
        what = "no receipt names the files that are listed here"
        raise IntegrityError("RECEIPT_FILES", what, found=snapshot_id, where=folder / MANIFEST)


_require_named_once = functools.lru_cache(maxsize=1 << 14)(_require_named)  # what it raises is found again


def _raw(path: Path) -> bytes:
    try:
        return file_bytes(path)
    except OSError as error:
        raise IntegrityError("RECEIPT_UNREADABLE", f"a receipt cannot be read: {error}", where=path) from error


def _entry(name: str, sha256: str) -> dict[str, Any]:
    return {"name": f"{FILE}={name}", "digest": {"sha256": sha256}}


def _annotations(entry: Mapping[str, Any], name: str) -> Any:
    if keys(entry, {"name", "annotations"})["name"] != name:
        raise ValueError(f"expected the byproduct {name}, found {entry['name']!r}")
    return entry["annotations"]


def _files(entries: list[Any]) -> dict[str, str]:
    files: dict[str, str] = {}
    for entry in entries:
        role, _, name = text(keys(entry, {"name", "digest"})["name"]).partition("=")
        digest = keys(entry["digest"], {"sha256"})["sha256"]
        if role != FILE or not name or not HEX["sha256"].match(text(digest)):
            raise ValueError("a file is a name and a SHA-256")
        files[name] = digest
    if len(files) != len(entries) or list(files) != sorted(files) or MANIFEST not in files:
        raise ValueError(f"the files are named once each, in order, and {MANIFEST} is one of them")
    return files
