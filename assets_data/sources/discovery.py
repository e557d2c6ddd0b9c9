"""Which files below a folder some patterns ask for, and which of them are left out, and why.

A walk of its own, because the standard library's skips what it cannot read or follow without a word. Promises that what
is asked for is found or refused by name, and that what is left out is counted and named. Opens no file.

Patterns are globs below the folder, as a shell reads them: ``*``, ``?`` and ``[...]`` within a step, ``**`` for any
number of folders. A name that begins with a dot is hidden: only a step that begins with a dot asks for it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from assets_data.lineage import DataError
from assets_data.sources.formats import format_of, readable_names
from assets_data.sources.left_out import LeftOut
from assets_data.sources.parts import unreadable
from assets_data.sources.patterns import Globs, Places, names_a_suffix

# Written beside data by the libraries that write it: descriptions in JSON that hold no rows.
DESCRIPTIONS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
_EXCLUDE = "leave it out by files.exclude, or"


class Found(NamedTuple):
    """``paths`` are relative to the folder and sorted; ``unmatched`` are patterns that nothing matches."""

    paths: list[str]
    left_out: LeftOut
    unmatched: list[str]


class _Folder(NamedTuple):
    """A folder to be walked: where a file in it stands in the patterns, hidden names allowed (``loose``) or not."""

    path: Path
    name: str  # relative to the root, with its slash; empty for the root
    real: Path
    asked: Places
    loose: Places
    excluded: Places
    reason: str  # why what is in here is left out; empty when it is not
    linked: bool
    above: tuple[Path, ...]  # real paths of the folders it lies in, itself among them


def discover(root: Path, patterns: Iterable[str], exclude: Iterable[str] = ()) -> Found:
    """The files below ``root`` that ``patterns`` ask for, what ``exclude`` matches left out.

    A pattern whose last step names a suffix asks for just those files; one that does not (``**/*``) takes what can be
    read. Raises DataError SOURCE_ROOT, SOURCE_UNREADABLE for a folder, SOURCE_LINK for a link to nothing, FILE_OUTSIDE
    for one out of the root, FILE_FORMAT for a file that was asked for and nobody reads, FILE_NAME for a name that is
    not printable text, and SOURCE_EMPTY when nothing is found.
    """
    folders = [text.removesuffix("/**") for text in exclude]  # a folder all of whose content goes is not walked into
    walk = _Walk(root, Globs(patterns), Globs(folders))
    paths = walk.run()
    unmatched = [*walk.patterns.unmatched(), *walk.exclude.unmatched()]
    if not paths:
        raise _nothing(root, walk.patterns, walk.strays, walk.left_out)
    return Found(sorted(paths), walk.left_out, unmatched)


class _Walk:
    def __init__(self, root: Path, patterns: Globs, exclude: Globs) -> None:
        self.root, self.patterns, self.exclude = root, patterns, exclude
        self.left_out, self.strays = LeftOut(), 0
        self._files: dict[str, Path] = {}  # asked for, reached without a linked folder: real paths by name
        self._through_links: dict[str, Path] = {}
        self._stack: list[_Folder] = []

    def run(self) -> Iterable[str]:
        """Names of the files to be read."""
        real = _real_root(self.root)
        start = (self.patterns.start(), self.patterns.start(), self.exclude.start())
        self._stack = [_Folder(self.root, "", real, *start, "", False, (real,))]
        while self._stack:
            folder = self._stack.pop()
            for entry in self._entries(folder):
                self._visit(folder, entry)
        own = set(self._files.values())
        for name, path in self._through_links.items():
            if path in own:
                self.left_out.add("linked", name)
            else:
                self._files[name] = path
        return self._files

    def _entries(self, folder: _Folder) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder.path) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not folder.reason:
                raise unreadable(folder.path, error, f"make it readable, {_EXCLUDE} narrow the patterns") from error
            self.left_out.add(folder.reason, folder.name)
            return []

    def _visit(self, folder: _Folder, entry: os.DirEntry[str]) -> None:
        name = folder.name + entry.name
        loose = self.patterns.step(folder.loose, entry.name, hidden=True)
        if not loose:
            return
        asked = self.patterns.step(folder.asked, entry.name, hidden=False)
        excluded = self.exclude.step(folder.excluded, entry.name, hidden=True)
        reason = folder.reason or ("excluded" if self.exclude.whole(excluded) else "" if asked else "hidden")
        below = folder._replace(
            path=folder.path / entry.name, name=name + "/", asked=asked, loose=loose, excluded=excluded, reason=reason
        )
        mode = self._mode(below, entry)
        if mode is None:
            return
        if stat.S_ISDIR(mode):
            self._enter(below, entry)
        elif reason:
            if self.patterns.whole(loose):
                self.left_out.add(reason, name)
        elif whole := self.patterns.whole(asked):
            self._take(below, name, entry, [self.patterns.texts[number] for number in whole], stat.S_ISREG(mode))

    def _mode(self, below: _Folder, entry: os.DirEntry[str]) -> int | None:
        """What kind of thing an entry is or leads to; None when that cannot be known and nobody asked for it."""
        try:
            return entry.stat().st_mode
        except OSError as error:
            whole, name = self.patterns.whole(below.asked), below.name.rstrip("/")
            wanted = whole and (
                format_of(name) or any(map(names_a_suffix, map(self.patterns.texts.__getitem__, whole)))
            )
            if below.reason:
                if self.patterns.whole(below.loose):
                    self.left_out.add(below.reason, name)
            elif not entry.is_symlink():
                raise unreadable(below.path, error, f"make it readable, {_EXCLUDE} narrow the patterns") from error
            elif wanted:
                what, action = "a link leads to nothing", f"put back what it leads to, {_EXCLUDE} remove it"
                found = os.readlink(below.path)
                raise DataError("SOURCE_LINK", what, found=ascii(found), where=below.path, action=action) from error
            else:  # it might have been a folder that a pattern leads into
                self.left_out.add("link to nothing", name)
            return None

    def _enter(self, below: _Folder, entry: os.DirEntry[str]) -> None:
        """Put a folder on the stack, if a pattern leads into it."""
        whole = self.patterns.whole(below.asked)
        if not below.reason and any(names_a_suffix(self.patterns.texts[number]) for number in whole):
            self.left_out.add("folder", below.name)
        if not self.patterns.unfinished(below.loose):
            return
        real = below.path.resolve() if entry.is_symlink() else below.real / entry.name
        if entry.is_symlink() and not real.is_relative_to(below.above[0]):
            if not below.reason and self.patterns.unfinished(below.asked):
                raise _outside(below.path, real, below.above[0])
            self.left_out.add(below.reason or "hidden", below.name)
        elif real in below.above:
            self.left_out.add("linked", below.name)
        else:
            linked = below.linked or entry.is_symlink()
            self._stack.append(below._replace(real=real, linked=linked, above=(*below.above, real)))

    def _take(self, below: _Folder, name: str, entry: os.DirEntry[str], patterns: list[str], regular: bool) -> None:
        """Judge a file that was asked for by ``patterns``."""
        by_suffix = any(map(names_a_suffix, patterns))
        if not regular:
            self.left_out.add("neither file nor folder", name)
            return
        if format_of(entry.name) is None:
            if by_suffix:
                raise _format(name, self.root)
            self.left_out.add("no reader", name)
            self.strays += 1
            return
        if not by_suffix and _is_description(below.path):
            self.left_out.add("description", name)
            return
        if not name.isprintable():  # also what Python makes of bytes that are not UTF-8
            what = "a file name is not printable text"
            raise DataError("FILE_NAME", what, found=ascii(name), where=self.root, action="rename the file")
        real = below.path.resolve() if entry.is_symlink() else below.real / entry.name
        if not real.is_relative_to(below.above[0]):
            raise _outside(below.path, real, below.above[0])
        (self._through_links if below.linked else self._files)[name] = real


def _real_root(root: Path) -> Path:
    if not root.is_dir():
        what, found = "files.root is no folder", "a file" if root.exists() else "nothing"
        action = "set files.root to the folder that the patterns start from"
        raise DataError("SOURCE_ROOT", what, found=found, where=os.path.abspath(root), action=action)
    return root.resolve()


def _is_description(path: Path) -> bool:
    saved = path.name == "state.json" and path.with_name("dataset_info.json").exists()  # of datasets' save_to_disk
    return path.name in DESCRIPTIONS or saved


def _outside(path: Path, real: Path, inside: Path) -> DataError:
    action = f"{_EXCLUDE} choose a files.root that holds both"
    return DataError(
        "FILE_OUTSIDE", "a link leads out of files.root", expected=inside, found=real, where=path, action=action
    )


def _format(name: str, where: Path) -> DataError:
    action = "name the files that hold text in files.patterns, or leave this one out by files.exclude"
    found = PurePosixPath(name).name
    return DataError(
        "FILE_FORMAT",
        "no reader for this file",
        expected=readable_names(),
        found=found if found.isprintable() else ascii(found),
        where=where,
        action=action,
    )


def _nothing(root: Path, patterns: Globs, strays: int, left_out: LeftOut) -> DataError:
    if strays:
        what, found = "no reader for any file that the patterns match", str(left_out)
        return DataError("FILE_FORMAT", what, expected=readable_names(), found=found, where=root)
    unmatched = patterns.unmatched()
    named = "; ".join(f"{text!r} matches {'nothing' if text in unmatched else 'no file'}" for text in patterns.texts)
    found = named + (f"; left out: {left_out}" if left_out.found else "")
    action = "correct files.patterns; hidden files are asked for by a step that begins with a dot"
    where = os.path.abspath(root)
    return DataError("SOURCE_EMPTY", "the source matches no files", found=found, where=where, action=action)
