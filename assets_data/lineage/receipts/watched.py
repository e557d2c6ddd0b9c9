"""Whether a checkout may have changed since it was last looked at, from what the kernel says of its files and folders.

Looking at a checkout asks git three questions and reads every file; a chain of many small steps looks after each. In
between it is enough that nothing moved: every file that was looked at, every folder in which git or we would find one
more, and git's own notes of the commit. A new file changes the times of its folder, a rewritten one its own, and nobody
can set the time of change. Within a second of a change times say too little, and the checkout is looked at again.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

SETTLED_NS = 1_000_000_000
_Seen = tuple[int, int] | None


class Watched(NamedTuple):
    """Places of a checkout and what the kernel said of each."""

    places: tuple[bytes, ...]
    seen: tuple[_Seen, ...]

    def unmoved(self) -> bool:
        """Whether all of it is as it was."""
        return _look(self.places) == self.seen

    def settled(self, begun_ns: int) -> bool:
        """Whether nothing had changed for a while when a look at it was begun, nor since."""
        return all(seen is None or seen[1] < begun_ns - SETTLED_NS for seen in self.seen)


def watch(
    root: Path, files: Iterable[bytes], ignored: Collection[bytes], rooms: Collection[str], git: Collection[Path]
) -> Watched:
    """``files`` are relative to ``root``, as are the folders ``ignored`` by git, which count only within ``rooms``."""
    base = os.fsencode(root)
    folders = set(_folders(base, base, ignored))
    for room in rooms:
        folders.update(_folders(base, os.path.join(base, os.fsencode(room))))
    places = sorted({*folders, *(os.path.join(base, name) for name in files), *(os.fsencode(path) for path in git)})
    return Watched(tuple(places), _look(places))


def git_notes(git: Path, common: Path) -> list[Path]:
    """Where git keeps what its answers depend on: HEAD and the branch it names, the index, packed names, excludes."""
    try:
        name = (git / "HEAD").read_text().removeprefix("ref: ").strip()
    except OSError:
        name = "HEAD"
    notes = [git / "HEAD", git / "index", common / name, common / "packed-refs", common / "reftable" / "tables.list"]
    return [*notes, common / "info" / "exclude", common / "config"]


def _folders(base: bytes, top: bytes, ignored: Collection[bytes] = ()) -> Iterator[bytes]:
    for folder, inside, _ in os.walk(top):
        yield folder
        inside[:] = [name for name in inside if name != b".git" and _below(base, folder, name) not in ignored]


def _below(base: bytes, folder: bytes, name: bytes) -> bytes:
    return os.path.relpath(os.path.join(folder, name), base)


def _look(places: Iterable[bytes]) -> tuple[_Seen, ...]:
    """Inode and time of change of each, which no other change leaves alone; 4 us a place, so nothing more is asked."""
    found = list[_Seen]()
    for place in places:
        try:
            seen = os.lstat(place)
        except OSError:
            found.append(None)
        else:
            found.append((seen.st_ino, seen.st_ctime_ns))
    return tuple(found)
