"""What lies in a snapshot's folder: files, folders and links, none of which is followed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any


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
