"""What the checkout holds now, against its commit: every file hashed here, none taken on git's word.

Git can be told not to look (``assume-unchanged``, ``skip-worktree``, filters, excludes, replaced objects) and to look
elsewhere (``GIT_DIR``), so it is asked for the commit and what that holds, and for nothing else.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage.identity.digests import digest_bytes, digest_json
from assets_data.lineage.receipts.watched import Watched, git_notes, watch

_HASHES = {40: "sha1", 64: "sha256"}  # by the length of an object's name
_CODE = (".py", ".so")


def tree_state(root: Path, rooms: Collection[str]) -> dict[str, Any] | None:
    """``{"commit", "dirty", "diff"}`` of the checkout at ``root``; None where there is none, or one of something else.

    ``diff`` is the digest over every file that is not as committed, gone, or added: what git would add, and code in
    ``rooms`` even where git is told to ignore it. Files' modes do not count, only whether they are links. What was
    found before is given again for as long as nothing moved (see ``watched``).
    """
    if (found := _LAST.get((root, *rooms))) and found[0].unmoved():
        return dict(found[1])
    begun = time.time_ns()
    state, files = _looked(root, rooms)
    if state is not None:
        watched = watch(root, files, _ignored(root), rooms, git_notes(*_git_folders(root)))
        if watched.settled(begun):
            _LAST[root, *rooms] = watched, dict(state)
    return state


_LAST: dict[tuple[object, ...], tuple[Watched, dict[str, Any]]] = {}


def _looked(root: Path, rooms: Collection[str]) -> tuple[dict[str, Any] | None, set[bytes]]:
    """The state, and every file that was looked at."""
    top, _, commit = (_git(root, "rev-parse", "--show-toplevel", "HEAD") or b"").rstrip(b"\n").rpartition(b"\n")
    here = top and Path(os.fsdecode(top)) == root.resolve()
    committed = dict(_committed(root, commit.decode())) if here else {}
    if not committed:  # no checkout, or one that git cannot read: no reason to lose a day's training
        return None, set()
    changed = {path: _digest(root, path) for path, (mode, name) in committed.items() if not _is(root, path, mode, name)}
    others = _others(root, rooms)
    added = {path: _digest(root, path) for path in others - committed.keys()}
    changes = {_shown(path): digest for path, digest in {**changed, **added}.items()}
    dirty = bool(changes)
    state = {"commit": commit.decode(), "dirty": dirty, "diff": digest_json(changes) if dirty else None}
    return state, {*committed, *others}


def _committed(root: Path, commit: str) -> Mapping[bytes, tuple[bytes, str]]:
    """Path -> (mode, object name) of every file and link of a commit, which never changes; empty where git fails."""
    if (found := _COMMITS.get((root, commit))) is None:
        listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", commit)
        if listed is None:
            return {}
        found = _COMMITS[root, commit] = {path: (mode, name) for mode, name, path in _entries(listed)}
    return found


_COMMITS: dict[tuple[Path, str], Mapping[bytes, tuple[bytes, str]]] = {}


def _entries(listed: bytes) -> Iterator[tuple[bytes, str, bytes]]:
    """``(mode, object name, path)`` of every file and link; a submodule has a history of its own."""
    for line in filter(None, listed.split(b"\0")):
        facts, _, path = line.partition(b"\t")
        mode, kind, name = facts.split()
        if kind == b"blob":
            yield mode, name.decode(), path


def _is(root: Path, path: bytes, mode: bytes, name: str) -> bool:
    """Whether the file at ``path`` holds the bytes of the object ``name``."""
    full = os.path.join(os.fsencode(root), path)
    try:
        seen = os.lstat(full)
    except OSError:
        return False
    if stat.S_ISLNK(seen.st_mode) != (mode == b"120000"):
        return False
    return _once(root, path, _HASHES[len(name)]) == name


def _once(root: Path, path: bytes, algorithm: str | None = None) -> str | None:
    """What git calls a file's bytes or a link's target under an ``algorithm``, or without one our own digest of them.

    Taken once, for as long as the kernel says the same of the file. Nobody can set the time of change among that; of a
    file written to a moment ago it says too little.
    """
    full = os.path.join(os.fsencode(root), path)
    try:
        seen = os.lstat(full)
    except OSError:
        return None
    key = (full, algorithm, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    if (found := _KNOWN.get(key)) is not None:
        return found
    now = time.time_ns()
    data, _ = _content(root, path)
    if data is None:
        return None
    blob = b"blob %d\0" % len(data) + data
    found = hashlib.new(algorithm, blob).hexdigest() if algorithm else digest_bytes(data)
    if now - seen.st_ctime_ns > _SETTLED_NS:
        _KNOWN[key] = found
    return found


_KNOWN: dict[tuple[object, ...], str] = {}
_SETTLED_NS = 1_000_000_000


def _content(root: Path, path: bytes) -> tuple[bytes | None, bool]:
    """A file's bytes, or a link's target, and whether it is a link; None where there is neither."""
    full = os.path.join(os.fsencode(root), path)
    try:
        if os.path.islink(full):
            return os.readlink(full), True
        with open(full, "rb") as file:
            return file.read(), False
    except OSError:
        return None, False


def _digest(root: Path, path: bytes) -> str | None:
    return _once(root, path)


def _others(root: Path, rooms: Collection[str]) -> set[bytes]:
    """What git knows of or would add, and all code in the rooms."""
    known = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard") or b""
    paths = {path for path in known.split(b"\0") if path and os.path.lexists(os.path.join(os.fsencode(root), path))}
    for room in rooms:
        for folder, _, files in os.walk(root / room):
            code = (os.path.join(folder, name) for name in files if name.endswith(_CODE))
            paths |= {os.fsencode(os.path.relpath(path, root)) for path in code}
    return paths


def _ignored(root: Path) -> set[bytes]:
    """The folders that git is told to ignore as a whole."""
    listed = _git(root, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory") or b""
    return {path.rstrip(b"/") for path in listed.split(b"\0") if path.endswith(b"/")}


def _git_folders(root: Path) -> tuple[Path, Path]:
    """Where git keeps what is of this checkout, and what is of all checkouts of the repository."""
    answer = _git(root, "rev-parse", "--git-dir", "--git-common-dir") or b".git\n.git"
    own, common = (root / os.fsdecode(line) for line in answer.rstrip(b"\n").split(b"\n"))
    return own, common


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git answers about the repository around ``root``, whatever the environment says of another one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(root), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, timeout=30, env=environment)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None
