"""What this process has already hashed: a file is hashed once, as long as the disk says that it is the same file.

The key is what the kernel keeps of a file (device, inode, size, times of the last write and of the last change), so a
renamed file stays known and a rewritten one does not. ``verify --deep``, ``explain`` and ``rebuild`` never ask here.

Files in a store are written by us alone. A file that others write may change twice within one tick of the disk's clock,
so of those only a file that had come to rest is known (:func:`settled_digest`); any other is hashed each time.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from assets_data.lineage.identity.digests import digest_file

SETTLED_NS = 2_000_000_000
"""How long ago a file must have changed for its times to tell the next change: FAT counts in steps of two seconds."""

_Key = tuple[int, int, int, int, int]
_digests: dict[_Key, str] = {}


def remember(path: Path, digest: str) -> None:
    """Note the digest of a file that was just hashed, or written and hashed."""
    _digests[_key(os.stat(path))] = digest


def known_digest(path: Path | str, seen: os.stat_result | None = None) -> str:
    """The file's digest: as this process found it before, else hashed now. ``seen`` is what the disk said of it just
    now, where that was asked.
    """
    key = _key(seen or os.stat(path))
    if key not in _digests:
        _digests[key] = digest_file(path)
    return _digests[key]


def settled_digest(path: Path) -> str:
    """:func:`known_digest` for a file that others may write: it is only known if it had come to rest when hashed."""
    key, now = _key(os.stat(path)), time.time_ns()
    if key in _digests:
        return _digests[key]
    digest = digest_file(path)
    if is_settled(key, now) and _key(os.stat(path)) == key:
        _digests[key] = digest
    return digest


def is_settled(key: _Key, now: int) -> bool:
    """Whether a file's last change, by its :func:`file_key`, lay far enough back at ``now`` (nanoseconds)."""
    return now - max(key[3:]) > SETTLED_NS


def settled_keys(*paths: Path | str) -> tuple[_Key, ...] | None:
    """The keys of files that have all come to rest, by which what was read of them is known again; None where one may
    still change unseen or cannot be asked about: what is read of it then is read each time.
    """
    try:
        keys = tuple(map(file_key, paths))
    except OSError:
        return None
    now = time.time_ns()
    return keys if all(is_settled(key, now) for key in keys) else None


def file_key(path: Path | str) -> _Key:
    """Device, inode, size and the times of the last write and change: another file, or content, has another key."""
    return _key(os.stat(path))


def link(path: Path, other: Path) -> None:
    """A hard link, by which a file stays as known as it was: the link is what changed its time of change."""
    before = file_key(path)
    os.link(path, other)
    _carry(before, file_key(other))


def unlink(path: Path) -> None:
    """Remove one name of a file; by its other names it stays as known as it was."""
    with open(path, "rb") as file:
        before = _key(os.fstat(file.fileno()))
        path.unlink()
        _carry(before, _key(os.fstat(file.fileno())))


def _carry(before: _Key, after: _Key) -> None:
    """What is known under one key is known under another that differs in the time of change only."""
    if before in _digests and before[:4] == after[:4]:
        _digests[after] = _digests[before]


def _key(stat: os.stat_result) -> _Key:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
