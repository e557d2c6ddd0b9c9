"""Snapshots: immutable published directories whose id depends on what they say and on nothing else.

``snapshot.json`` is written last and is the only proof that a snapshot is complete. It holds the *content* (kind,
schema, logical digest of every part, splits, record root), whose canonical JSON gives the id, and the physical files
with size and SHA-256, for fast verification. Sidecars are listed and hashed but stay outside the identity; they are
bound by the receipt, which names every file, and whose other statements are bound by ``made``.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets_data.lineage.errors import DataError, IntegrityError, StemmaError
from assets_data.lineage.identity.digests import (
    canonical_form,
    canonical_json,
    digest_file,
    digest_json,
    load_json,
    logical_digest,
    says_more_than_bytes,
)
from assets_data.lineage.identity.merkle import Records, fold, sorted_records
from assets_data.lineage.identity.tables import read_table
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.verified import file_key, is_settled, known_digest

SCHEMA = 1
MANIFEST = "snapshot.json"
_ENTRY = {"bytes": int, "sha256": str, "part": bool}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A published directory. ``content`` is the identity, ``stats`` are facts for people, ``files`` maps name to
    ``{"bytes", "sha256", "part"}``, ``made`` is the digest over what its first receipt says of the making (empty where
    an older version published it). ``reused`` and ``receipt`` say how this process came by it.
    """

    id: str
    kind: str
    path: Path
    content: Mapping[str, Any]
    stats: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    made: str = ""
    reused: bool = False
    receipt: Path | None = None

    @classmethod
    def open(cls, path: Path) -> Snapshot:
        """Read ``snapshot.json`` and check it against itself. Raises IntegrityError with one code per defect.

        One that has come to rest is read once while it stays as it is, for a chain opens each of its own many times.
        """
        try:
            key = file_key(path / MANIFEST)
        except OSError:
            return _parsed(path)
        return _kept(path, key) if is_settled(key, time.time_ns()) else _parsed(path)

    @property
    def bytes(self) -> int:
        """Size of all its files together."""
        return sum(entry["bytes"] for entry in self.files.values())

    def file(self, name: str) -> Path:
        """The path of one of its files. Raises IntegrityError for a name it does not list."""
        if name not in self.files:
            raise _broken("SNAPSHOT_NO_FILE", "no such file in this snapshot", self.path, sorted(self.files), name)
        return self.path / name

    def read_json(self, name: str) -> Any:
        """One of its JSON files, parsed strictly."""
        path = self.file(name)
        try:
            return load_json(path.read_bytes(), path)
        except OSError as error:
            raise _broken("SNAPSHOT_UNREADABLE", f"a file cannot be read: {error}", path) from error

    def table(self, name: str) -> pa.Table:
        """One of its tables; Arrow IPC files are memory-mapped."""
        return read_table(self.file(name))

    def verify(self, *, deep: bool = False) -> None:
        """Every file against the list, each hashed once per process; with ``deep`` all are hashed again, and the
        identity is recomputed from the parts' values.

        Raises IntegrityError naming the first file that differs, is missing or was added.
        """
        self.check_list()
        for name in self.files:
            self.check_file(name, again=deep)
        if deep:
            self._verify_parts()

    def check_list(self) -> None:
        """The directory holds what the list names and, of the parts, what the identity names; nothing is hashed."""
        for extra in sorted(set(_entries(self.path)) - set(self.files) - {MANIFEST} - _folders(self.files)):
            raise _broken("SNAPSHOT_EXTRA_FILE", "a file nobody published", self.path / extra)
        listed = sorted(Path(name).stem for name, entry in self.files.items() if entry["part"])
        if listed != sorted(self.content["parts"]):
            raise _broken(
                "SNAPSHOT_LIST", "files and identity differ", self.path, sorted(self.content["parts"]), listed
            )

    def check_file(self, name: str, *, again: bool = True) -> None:
        """One file against its listed size and SHA-256, which is computed ``again`` or as this process knows it.

        A link, or a file behind one, is none of the snapshot's.
        """
        path, entry = self.path / name, self.files[name]
        if link := _link(self.path, name):
            raise _broken("SNAPSHOT_LINK", "a link stands where a file or folder was published", link)
        try:
            seen = os.lstat(path)
        except OSError:
            seen = None
        if seen is None or not stat.S_ISREG(seen.st_mode):
            raise _broken("SNAPSHOT_FILE_MISSING", "a listed file is gone", path)
        if seen.st_size != entry["bytes"]:
            raise _broken("SNAPSHOT_FILE_SIZE", "a file has another size", path, entry["bytes"], seen.st_size)
        if (digest := digest_file(path) if again else known_digest(path)) != entry["sha256"]:
            raise _broken("SNAPSHOT_FILE_DIGEST", "a file's bytes changed", path, entry["sha256"], digest)

    def _verify_parts(self) -> None:
        parts = {Path(n).stem: _part_digest(self.path / n) for n, entry in self.files.items() if entry["part"]}
        if canonical_json(parts) != canonical_json(self.content["parts"]):
            raise _broken("SNAPSHOT_CONTENT", "the parts do not say what the identity says", self.path)


_STATE = ("stats", "found", "environment", "splits")
"""What a writer keeps as mappings besides its files."""


class SnapshotWriter:
    """Collects a snapshot's files in a temp directory. ``publish`` hashes, syncs and writes ``snapshot.json`` last."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.path, self.kind = directory, kind
        self.stats: dict[str, Any] = {}
        self.found: dict[str, Any] = {}  # arguments that are only known once it is made; they go into the receipt
        self.environment: dict[str, Any] = {}  # further facts of it that the making found out; for the receipt
        self.splits: dict[str, int] = {}
        self._records: dict[str, Any] | None = None
        self._names: dict[str, bool] = {}

    def part(self, name: str) -> Path:
        """Where to write a file whose logical content is part of the identity. Stems are unique in a snapshot."""
        if any(is_part and Path(n).stem == Path(name).stem for n, is_part in self._names.items()):
            raise DataError("SNAPSHOT_PART_TWICE", "two parts share a name", found=name)
        self._names[name] = True
        return self.path / name

    def sidecar(self, name: str) -> Path:
        """Where to write a file that is listed and hashed but does not touch the identity."""
        self._names[name] = False
        return self.path / name

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a part as zstd Parquet (``.parquet``) or uncompressed, memory-mappable Arrow IPC (``.arrow``)."""
        target = self.part(name)
        if target.suffix == ".parquet":
            pq.write_table(table, target, compression="zstd")
            return
        with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

    def write_json(self, name: str, document: Any, *, sidecar: bool = False) -> None:
        """Write a JSON part (or sidecar) in canonical form."""
        target = self.sidecar(name) if sidecar else self.part(name)
        target.write_bytes(canonical_json(document) + b"\n")

    def records(self, ids: Records) -> None:
        """Set the record count and Merkle root from 32-byte digests: uint8[n, 32], ``S32``, bytes or hex characters."""
        leaves = sorted_records(ids)
        count = len(leaves)
        self._records = {"count": count, "root": fold(leaves)[0].hex()}

    def state(self) -> dict[str, Any]:
        """All but the files, as JSON: what :meth:`adopt` takes over in another process."""
        state = {name: getattr(self, name) for name in _STATE}
        return {**state, "records": self._records, "names": self._names}

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on where another writer of the same directory was."""
        for name in _STATE:
            setattr(self, name, dict(state[name]))
        self._records, self._names = state["records"], dict(state["names"])

    def finish(self, made: str = "") -> str:
        """Hash and sync every file, write ``snapshot.json``, return the id. Refuses a file that was never announced."""
        for name in sorted(set(_entries(self.path)) - set(self._names) - _folders(self._names)):
            raise DataError("SNAPSHOT_UNKNOWN_FILE", "a file was written but not announced", where=self.path / name)
        for name in self._names:
            if link := _link(self.path, name):
                raise DataError("SNAPSHOT_LINK", "a link cannot be published", where=link)
        files = {name: self._entry(name, is_part) for name, is_part in sorted(self._names.items())}
        content = {
            "kind": self.kind,
            "schema": SCHEMA,
            "parts": {Path(n).stem: self._said(n, entry) for n, entry in files.items() if entry["part"]},
            "splits": self.splits,
            "records": self._records,
        }
        document = {"content": content, "files": files, "id": digest_json(content), "stats": self.stats}
        document |= {"made": made} if made else {}
        atomic.write_json(self.path / MANIFEST, document)
        return document["id"]

    def _entry(self, name: str, is_part: bool) -> dict[str, Any]:
        path = self.path / name
        atomic.sync_path(path)
        return {"bytes": path.stat().st_size, "sha256": known_digest(path), "part": is_part}

    def _said(self, name: str, entry: Mapping[str, Any]) -> Any:
        """What a part says; one that is nothing but bytes says its own digest, and is not hashed twice."""
        return logical_digest(self.path / name) if says_more_than_bytes(name) else entry["sha256"]


def _part_digest(path: Path) -> Any:
    try:
        return logical_digest(path)
    except StemmaError:
        raise
    except Exception as error:  # a reader met bytes that nobody wrote: whatever it says, the file is not what it was
        raise _broken("SNAPSHOT_UNREADABLE", f"a part cannot be read: {error}", path) from error


def _entries(folder: Path) -> Iterator[str]:
    """Every file, link and folder below, relative; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from (f"{entry.name}/{name}" for name in _entries(Path(entry.path)))


def _link(folder: Path, name: str) -> Path | None:
    """The first link on the way from the snapshot's folder to one of its files."""
    parts = name.split("/")
    way = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return next((folder / step for step in way if os.path.islink(os.path.join(folder, step))), None)


def _folders(names: Mapping[str, Any]) -> set[str]:
    """The folders that the listed files lie in."""
    return {str(folder) for name in names if "/" in name for folder in PurePosixPath(name).parents}


@functools.lru_cache(maxsize=1 << 12)  # some kilobytes each
def _kept(path: Path, _key: tuple[int, ...]) -> Snapshot:
    return _parsed(path)


def _parsed(path: Path) -> Snapshot:
    document = _read_manifest(path)
    expected = digest_json(document["content"])
    if document["id"] != expected:
        raise _broken("SNAPSHOT_ID", "the id does not match the content", path, expected, document["id"])
    kind = document["content"]["kind"]
    names = ("id", "content", "stats", "files")
    return Snapshot(path=path, kind=kind, **{k: document[k] for k in names}, made=document.get("made", ""))


def _read_manifest(path: Path) -> Mapping[str, Any]:
    manifest = path / MANIFEST
    if not manifest.is_file():
        raise _broken("SNAPSHOT_INCOMPLETE", "no snapshot.json: this directory was never published", path)
    raw = manifest.read_bytes()
    if not raw:
        raise _broken("SNAPSHOT_EMPTY", "snapshot.json is empty", manifest)
    document = load_json(raw, manifest)
    canonical_form(document, manifest)  # an identity without a canonical form has no digest
    if isinstance(document, dict) and isinstance(document.get("content"), dict):
        if (version := document["content"].get("schema")) != SCHEMA:
            raise _broken("SNAPSHOT_VERSION", "written by another schema version", manifest, SCHEMA, version)
    if problem := next(_shape_problems(document), None):
        raise _broken("SNAPSHOT_SHAPE", f"snapshot.json is not what a snapshot writes: {problem}", manifest)
    return document


def _shape_problems(document: Any) -> Iterator[str]:
    """What of ``snapshot.json`` has another shape than :meth:`SnapshotWriter.finish` gives it."""
    if not isinstance(document, dict) or set(document) - {"made"} != {"content", "files", "id", "stats"}:
        yield "it does not have the expected members"
        return
    if "made" in document and not re.fullmatch("sha256:[0-9a-f]{64}", str(document["made"])):
        yield "what it says of its making is no digest"
    kinds = {"content": dict, "files": dict, "id": str, "stats": dict}
    yield from (f"{name} is of another type" for name, kind in kinds.items() if not isinstance(document[name], kind))
    content, files = document["content"], document["files"]
    if not isinstance(content, dict) or set(content) != {"kind", "schema", "parts", "splits", "records"}:
        yield "the content does not have the five expected members"
    else:
        yield from _content_problems(content)
    for name, entry in files.items() if isinstance(files, dict) else ():
        if not _is_inside(name):
            yield f"{name!r} lies outside the snapshot"
        if not isinstance(entry, dict) or {k: type(v) for k, v in entry.items()} != _ENTRY or entry["bytes"] < 0:
            yield f"the entry of {name!r} is not a size, a digest and whether it is a part"


def _content_problems(content: Mapping[str, Any]) -> Iterator[str]:
    splits, records = content["splits"], content["records"]
    if not isinstance(content["kind"], str) or not isinstance(content["parts"], dict):
        yield "the content's kind or parts are of another type"
    if not isinstance(splits, dict) or not all(type(rows) is int for rows in splits.values()):
        yield "the splits are not numbers of rows"
    if records is not None and not (
        isinstance(records, dict)
        and set(records) == {"count", "root"}
        and type(records["count"]) is int
        and isinstance(records["root"], str)
        and re.fullmatch("[0-9a-f]{64}", records["root"])
    ):
        yield "the records are not a count and a root"


def _is_inside(name: str) -> bool:
    """Whether a file's name is a plain relative path: one spelling, and nothing that leads out of the snapshot."""
    path = PurePosixPath(name)
    return (
        bool(path.parts)
        and str(path) == name
        and not path.is_absolute()
        and ".." not in path.parts
        and "\0" not in name
    )


def _broken(code: str, what: str, where: Path, expected: object = None, found: object = None) -> IntegrityError:
    action = "run the stage again: the broken copy is quarantined and rebuilt"
    return IntegrityError(code, what, expected=expected, found=found, where=where, action=action)
