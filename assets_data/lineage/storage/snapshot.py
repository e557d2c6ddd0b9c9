"""Snapshots: immutable published directories whose id depends on what they say and on nothing else.

``snapshot.json`` is written last and is the only proof that a snapshot is complete. It holds the *content* (kind,
schema, logical digest of every part, splits, record root), whose canonical JSON gives the id, and the physical files
with size and SHA-256, for fast verification. Sidecars are listed and hashed but stay outside the identity; they are
bound by the receipt, which names every file, and whose other statements are bound by ``made``.
"""

from __future__ import annotations

import functools
import json
import os
import stat
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets_data.lineage.errors import StemmaError
from assets_data.lineage.identity.digests import canonical_json, digest_bytes, digest_file, load_json, logical_digest
from assets_data.lineage.identity.tables import read_table
from assets_data.lineage.storage.folders import entries_below, folders_of, link_on_the_way, stem
from assets_data.lineage.storage.snapshot_json import MANIFEST, broken, read_manifest
from assets_data.lineage.storage.verified import known_digest, settled_keys

CHECKED = 1 << 17
"""Lists of files, a kilobyte or two each, that a process keeps as it checked them: to load one again costs a tenth
of reading and checking it, and a snapshot that is loaded takes four times the memory."""
_checked: dict[Hashable, tuple[bytes, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A published directory. ``content`` is the identity, ``stats`` are facts for people, ``files`` maps name to
    ``{"bytes", "sha256", "part"}``, ``made`` is the digest over what its first receipt says of the making (empty where
    an older version published it), ``listed`` that of the ``snapshot.json`` which says all this. ``reused`` and
    ``receipt`` say how this process came by it.
    """

    id: str
    kind: str
    path: Path
    content: Mapping[str, Any]
    stats: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    made: str = ""
    listed: str = ""
    reused: bool = False
    receipt: Path | None = None

    @classmethod
    def open(cls, path: Path, seen: Hashable = None) -> Snapshot:
        """Read ``snapshot.json`` and check it against itself. Raises IntegrityError with one code per defect.

        One that has come to rest is read once while it stays as it is, for a chain opens each of its own many times.
        ``seen`` are its :func:`settled_keys`, where the caller has just asked for them.
        """
        seen = seen or settled_keys(os.path.join(path, MANIFEST))  # pathlib would take as long again
        return _kept(path, seen) if seen else _snapshot(path, *_read(path)[:2])

    @property
    def bytes(self) -> int:
        """Size of all its files together."""
        return sum(entry["bytes"] for entry in self.files.values())

    def file(self, name: str) -> Path:
        """The path of one of its files. Raises IntegrityError for a name it does not list."""
        if name not in self.files:
            raise broken("SNAPSHOT_NO_FILE", "no such file in this snapshot", self.path, sorted(self.files), name)
        return self.path / name

    def read_json(self, name: str) -> Any:
        """One of its JSON files, parsed strictly."""
        path = self.file(name)
        try:
            return load_json(path.read_bytes(), path)
        except OSError as error:
            raise broken("SNAPSHOT_UNREADABLE", f"a file cannot be read: {error}", path) from error

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
        for extra in sorted(set(entries_below(self.path)) - set(self.files) - {MANIFEST} - folders_of(self.files)):
            raise broken("SNAPSHOT_EXTRA_FILE", "a file nobody published", self.path / extra)
        listed = sorted(stem(name) for name, entry in self.files.items() if entry["part"])
        if listed != sorted(self.content["parts"]):
            raise broken("SNAPSHOT_LIST", "files and identity differ", self.path, sorted(self.content["parts"]), listed)

    def check_file(self, name: str, *, again: bool = True) -> None:
        """One file against its listed size and SHA-256, which is computed ``again`` or as this process knows it.

        A link, or a file behind one, is none of the snapshot's.
        """
        place = os.path.join(self.path, name)
        seen = self._require_there(name, place)
        self._require_digest(name, digest_file(place) if again else known_digest(place, seen))

    def checked_bytes(self, name: str) -> bytes:
        """The bytes of one file, checked as they are read. For a small one."""
        place = os.path.join(self.path, name)
        self._require_there(name, place)
        with open(place, "rb") as file:
            data = file.read()
        self._require_digest(name, digest_bytes(data))
        return data

    def _require_there(self, name: str, place: str) -> os.stat_result:
        """What the disk says of a file that is there in its listed size."""
        entry = self.files[name]
        try:
            seen = os.lstat(place)
        except OSError:
            seen = None
        if "/" in name or (seen and stat.S_ISLNK(seen.st_mode)):
            if link := link_on_the_way(self.path, name):
                raise broken("SNAPSHOT_LINK", "a link stands where a file or folder was published", link)
        if seen is None or not stat.S_ISREG(seen.st_mode):
            raise broken("SNAPSHOT_FILE_MISSING", "a listed file is gone", Path(place))
        if seen.st_size != entry["bytes"]:
            raise broken("SNAPSHOT_FILE_SIZE", "a file has another size", Path(place), entry["bytes"], seen.st_size)
        return seen

    def _require_digest(self, name: str, digest: str) -> None:
        if digest != (listed := self.files[name]["sha256"]):
            raise broken("SNAPSHOT_FILE_DIGEST", "a file's bytes changed", self.path / name, listed, digest)

    def _verify_parts(self) -> None:
        parts = {stem(n): _part_digest(self.path / n) for n, entry in self.files.items() if entry["part"]}
        if canonical_json(parts) != canonical_json(self.content["parts"]):
            raise broken("SNAPSHOT_CONTENT", "the parts do not say what the identity says", self.path)


def _part_digest(path: Path) -> Any:
    try:
        return logical_digest(path)
    except StemmaError:
        raise
    except Exception as error:  # a reader met bytes that nobody wrote: whatever it says, the file is not what it was
        raise broken("SNAPSHOT_UNREADABLE", f"a part cannot be read: {error}", path) from error


@functools.lru_cache(maxsize=1 << 12)  # some kilobytes each
def _kept(path: Path, seen: Hashable) -> Snapshot:
    if checked := _checked.get(seen):
        raw, listed = checked
        return _snapshot(path, json.loads(raw), listed)
    said, listed, raw = _read(path)
    if len(_checked) < CHECKED:
        _checked[seen] = raw, listed
    return _snapshot(path, said, listed)


def _read(path: Path) -> tuple[dict[str, Any], str, bytes]:
    """What ``snapshot.json`` says, its digest and its bytes."""
    raw, spelled = read_manifest(path)
    document = spelled.document
    expected = spelled.digest(document["content"])
    if document["id"] != expected:
        raise broken("SNAPSHOT_ID", "the id does not match the content", path, expected, document["id"])
    return document, digest_bytes(raw), raw


def _snapshot(path: Path, said: Mapping[str, Any], listed: str) -> Snapshot:
    return Snapshot(path=path, kind=said["content"]["kind"], listed=listed, **said)
