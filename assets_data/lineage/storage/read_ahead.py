"""Reading ahead: a process beside one that looks at thousands of snapshots, which reads the same small files before it.

A look asks the disk for some fifty files a slice, one after the other, and so waits for each that is not in the page
cache. Nothing is handed over and nothing depends on it: it only lets the system read what is about to be asked for.
Where a sample is in the page cache already, or the system cannot say, it ends at once.

This file is also the program of that process, and imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

FROM_NAMES = 500
"""Fewer names than this are looked at before another process has begun."""
SAMPLE, THREADS = 64, 2
MANIFEST = "snapshot.json"
_LARGEST = 1 << 18  # bytes; of a larger file the system reads ahead by itself
_NOW = getattr(os, "RWF_NOWAIT", 0)


@contextlib.contextmanager
def read_ahead(root: Path, names: Sequence[str], *, data: bool = True) -> Generator[None, None, None]:
    """Within the block the snapshots and receipts that ``names`` of the store under ``root`` stand for are read, in
    this order, by a process that ends with the block at the latest; without ``data`` the lists of files alone.
    """
    if len(names) < FROM_NAMES or not _NOW:
        yield
        return
    command = [sys.executable, "-I", "-S", __file__, str(root), *(["data"] if data else [])]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, text=True) as reader:
        try:
            with contextlib.suppress(BrokenPipeError), reader.stdin or contextlib.nullcontext() as listed:
                print(*names, sep="\n", file=listed)
            yield
        finally:
            reader.kill()


def read_all(root: str, names: list[str], data: bool) -> int:
    """Read what these names stand for, unless a sample is in the page cache already; how many names were read."""
    sample = names[:: max(1, len(names) // SAMPLE)]
    if not any(_is_on_disk(path) for name in sample for path in _small_files(root, name, data)):
        return 0
    with ThreadPoolExecutor(THREADS) as pool:
        deque(pool.map(partial(_read, root, data=data), names), maxlen=0)
    return len(names)


def _read(root: str, name: str, *, data: bool) -> None:
    for path in _small_files(root, name, data):
        with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
            file.read(_LARGEST)


def _small_files(root: str, name: str, data: bool) -> Iterator[str]:
    """Small files of the snapshot that a name stands for and its receipts; what cannot be read is left to the look."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        with open(os.path.join(root, "pointers", f"{name}.json"), "rb") as file:
            stored = json.load(file)["snapshot"].removeprefix("sha256:")
        if not stored.isalnum():
            return  # no id, but a path
        for shelf in ("receipts", "snapshots"):
            with os.scandir(os.path.join(root, shelf, stored)) as entries:
                files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
            small = [entry for entry in files if entry.stat().st_size <= _LARGEST]
            yield from (entry.path for entry in small if data or shelf == "receipts" or entry.name == MANIFEST)


def _is_on_disk(path: str) -> bool:
    """Whether a file's first bytes would have to come from the disk."""
    with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, _NOW)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    read_all(sys.argv[1], sys.stdin.read().split(), "data" in sys.argv[2:])
