"""A part that is still coming: a data file, and a journal of which spans of it are there. Survives SIGKILL.

Both files are written through the kernel's cache, so what the journal says is true for as long as the machine runs; it
names the boot, and after a restart of the machine what came is not trusted but fetched again.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.processes import boot_id
from assets_data.lineage.storage import atomic


class Partial:
    """Bytes ``[begin, end)`` of one object on a server, in any order, from any thread.

    ``validator`` is a strong one, or None: then a broken answer cannot be continued. ``size`` may be unknown (None).
    """

    def __init__(self, path: Path, validator: str | None, size: int | None, spans: list[tuple[int, int]]) -> None:
        self.path, self.validator, self.size = path, validator, size
        self._begins = {end: begin for begin, end in spans}  # by end: an answer extends the span it began
        self._lock = threading.Lock()
        self._data = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        self._journal = os.open(journal_of(path), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)

    @classmethod
    def create(cls, path: Path, url: str, validator: str | None, size: int | None) -> Partial:
        """An empty one in place of whatever was there."""
        discard(path)
        header = {"url": url, "validator": validator, "size": size, "boot": boot_id()}
        with atomic.disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(exist_ok=False)
            journal_of(path).write_text(json.dumps(header) + "\n")
            return cls(path, validator, size, [])

    @classmethod
    def resume(cls, path: Path, url: str) -> Partial | None:
        """What an interrupted download of ``url`` left, or None (and nothing) when it cannot be continued."""
        found = _read_journal(journal_of(path)) if path.is_file() and not path.is_symlink() else None
        if found:
            header, spans = found
            continued = header.get("url") == url and header.get("validator") and header.get("size") is not None
            if continued and boot_id() and header.get("boot") == boot_id():
                return cls(path, header["validator"], header["size"], spans)
        discard(path)
        return None

    def write(self, offset: int, block: bytes) -> None:
        """Put ``block`` in its place and note it. Raises StorageError."""
        end = offset + len(block)
        with atomic.disk_errors(self.path):
            view = memoryview(block)
            while view:
                view = view[os.pwrite(self._data, view, end - len(view)) :]
            os.write(self._journal, f"{offset} {end}\n".encode())
        with self._lock:
            self._begins[end] = self._begins.pop(offset, offset)

    def missing(self, begin: int, end: int) -> list[tuple[int, int]]:
        """The gaps of ``[begin, end)``, in order."""
        with self._lock:
            spans = sorted((first, last) for last, first in self._begins.items())
        gaps = []
        for first, last in [*spans, (end, end)]:
            if begin < min(first, end):
                gaps.append((begin, min(first, end)))
            begin = max(begin, last)
        return gaps

    @property
    def received(self) -> int:
        """Bytes that are there."""
        with self._lock:
            return sum(end - begin for end, begin in self._begins.items())

    def close(self) -> None:
        """Flush the data to the disk and close both files."""
        with atomic.disk_errors(self.path):
            os.fsync(self._data)
            self.abandon()

    def abandon(self) -> None:
        """Close both files as they are."""
        os.close(self._data)
        os.close(self._journal)


def journal_of(path: Path) -> Path:
    """The journal beside a data file."""
    return path.with_name(path.name + ".journal")


def discard(path: Path) -> None:
    """Remove data and journal, whatever they are."""
    path.unlink(missing_ok=True)
    journal_of(path).unlink(missing_ok=True)


def _read_journal(path: Path) -> tuple[dict[str, Any], list[tuple[int, int]]] | None:
    """Header and spans; a line that a kill cut short does not count. None when there is no header."""
    try:
        head, *lines = path.read_bytes().split(b"\n")[:-1]
        header = load_json(head, path)
        spans = [tuple(map(int, line.split())) for line in lines]
    except (OSError, ValueError, IntegrityError):
        return None
    return header, [(begin, end) for begin, end in _joined(spans)]


def _joined(spans: list[tuple[int, ...]]) -> list[list[int]]:
    joined: list[list[int]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    return joined
