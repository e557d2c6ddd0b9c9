"""What lies in a snapshot's folder: files, folders and links, none of which is followed; and JSON beside each other.

Paths are strings here: a command over many slices asks for some hundred thousand, and ``pathlib`` costs more than the
disk.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM}


def names_in(folder: Path) -> list[str]:
    """Every name in a folder, sorted; none where no folder can be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        if error.errno in _NOWHERE:
            return []
        raise


def json_files(folder: Path) -> list[Path]:
    """Every entry ``*.json`` of a folder, by name; none where no folder can be read."""
    return [folder / name for name in names_in(folder) if name.endswith(".json")]


def file_bytes(path: Path | str) -> bytes:
    """All bytes of a file, for half of what ``Path.read_bytes`` asks of the system."""
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def stem(name: str) -> str:
    """``Path(name).stem`` of a listed file."""
    last = name.rpartition("/")[2]
    dot = last.rfind(".")
    return last[:dot] if 0 < dot < len(last) - 1 else last


def entries_below(folder: Path) -> Iterator[str]:
    """Every file, link and folder below, relative; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from (f"{entry.name}/{name}" for name in entries_below(Path(entry.path)))


def link_on_the_way(folder: Path, name: str) -> Path | None:
    """The first link on the way from the snapshot's folder to one of its files."""
    parts = name.split("/")
    way = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return next((folder / step for step in way if os.path.islink(os.path.join(folder, step))), None)


def folders_of(names: Mapping[str, Any]) -> set[str]:
    """The folders that the listed files lie in."""
    return {str(folder) for name in names if "/" in name for folder in PurePosixPath(name).parents}
