"""The one place that opens final paths for writing: temp name beside it, write, fsync, rename, fsync the directory.

After a crash a path holds its old content or its new content, never a mixture. Leftover temps of leased names are swept
by the next holder; those of pointers and receipts, which nobody leases, are a few bytes and are never read.
Disk errors (full, too large, read-only, failing fsync) surface as StorageError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any

from assets_data.lineage.errors import StorageError
from assets_data.lineage.identity.digests import canonical_json

TEMP_MARK = ".tmp-"
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}

_NO_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.EEXIST}


@contextlib.contextmanager
def disk_errors(where: Path) -> Generator[None, None, None]:
    """Turn the disk's own refusals into a StorageError that says what was free; other errors pass through."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS and not _is_about(error, where):
            raise
        if error.errno not in _DISK_ERRORS:
            action = "name a place where a file or folder can be"
            code = f"STORAGE_{errno.errorcode[error.errno or 0]}"
            raise StorageError(
                code, f"cannot write: {error.strerror}", where=error.filename2 or error.filename, action=action
            ) from error
        parent = next((p for p in (where, *where.parents) if p.exists()), Path("/"))
        free = shutil.disk_usage(parent).free
        raise StorageError(
            f"STORAGE_{errno.errorcode.get(error.errno or 0, 'ERROR')}",
            f"cannot write: {error.strerror} ({free:,} bytes free)",
            where=error.filename or where,
            action="free space or choose another STEMMA_ROOT, then run again; what was published before is intact",
        ) from error


def _is_about(error: OSError, where: Path) -> bool:
    """Whether no such file or folder can be, rather than that something else is not there. What is written first
    under another name lies beside it.
    """
    names = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    beside = [name for name in names if name.parent == where.parent and name.name.startswith(TEMP_MARK)]
    return error.errno in _NO_PLACE and bool(beside or {*names} & {where, *where.parents})


def temp_beside(final: Path) -> Path:
    """An unpredictable sibling name on the same filesystem; ``sweep_temps`` knows it by its prefix."""
    return final.with_name(f"{TEMP_MARK}{final.name[:80]}-{secrets.token_hex(8)}")


def sweep_temps(final: Path) -> list[Path]:
    """Remove temps that a dead writer left for ``final``. Only call while holding the lease on that name."""
    stale = list(final.parent.glob(f"{TEMP_MARK}{final.name[:80]}-*"))
    for path in stale:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    return stale


@contextlib.contextmanager
def open_for_writing(final: Path) -> Generator[IO[bytes], None, None]:
    """A binary file that becomes ``final`` when the block ends without an error, and vanishes when it does not."""
    temp = temp_beside(final)
    with disk_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temp, "xb") as file:
                yield file
                sync_file(file)
            os.replace(temp, final)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise
        sync_directory(final.parent)


def write_bytes(final: Path, data: bytes) -> None:
    """Replace ``final`` with ``data``, durably and at once."""
    with open_for_writing(final) as file:
        file.write(data)


def write_json(final: Path, document: Any) -> None:
    """Replace ``final`` with the canonical JSON of ``document`` and a newline."""
    write_bytes(final, canonical_json(document) + b"\n")


def publish_directory(temp: Path, final: Path) -> bool:
    """Rename a finished, synced directory into place. False when ``final`` was there first (``temp`` is then kept)."""
    with disk_errors(final):
        sync_directory(temp)
        try:
            os.rename(temp, final)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                return False
            raise
        sync_directory(final.parent)
    return True


def sync_file(file: IO[bytes]) -> None:
    """Flush Python's and the kernel's buffers of an open file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_path(path: Path) -> None:
    """fsync a file that another library wrote and closed."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """fsync a directory, so that the names in it survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
