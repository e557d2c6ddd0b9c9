"""What this process has already hashed: a file is hashed once, as long as the disk says that it is the same file.

The key is what the kernel keeps of a file (device, inode, size, times of the last write and of the last change), so a
renamed file stays known and a rewritten one does not. ``verify --deep``, ``explain`` and ``rebuild`` never ask here.
"""

from __future__ import annotations

import os
from pathlib import Path

from assets_data.lineage.identity.digests import digest_file

_digests: dict[tuple[int, int, int, int, int], str] = {}


def remember(path: Path, digest: str) -> None:
    """Note the digest of a file that was just hashed, or written and hashed."""
    _digests[_key(path)] = digest


def known_digest(path: Path) -> str:
    """The file's digest: as this process found it before, else hashed now."""
    key = _key(path)
    if key not in _digests:
        _digests[key] = digest_file(path)
    return _digests[key]


def _key(path: Path) -> tuple[int, int, int, int, int]:
    stat = os.stat(path)
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
