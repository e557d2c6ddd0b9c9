"""Compressed files to blocks of bytes: bounded, and only whole. One frame per file, its end required, nothing after it.

The streaming interfaces of both libraries end quietly on a truncated frame; the low-level objects used here say whether
the end was reached. Does not verify digests: the caller knows what it planned to read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import zstandard

from assets_data.lineage import DataError

BLOCK_BYTES = 256 << 10
SUFFIXES = (".gz", ".zst")
_EXEMPT_BYTES = 1 << 20  # small files of repeated rows reach any ratio
_MAX_WINDOW_BYTES = 128 << 20  # what the zstd program itself accepts without being asked
_ZSTD_STEP_BYTES = 256  # a zstd block is at least 4 bytes and unfolds to at most 128 KiB, so a step gives at most 8 MiB


class Frame(Protocol):
    """A decompressor that knows where its frame ends."""

    magic: bytes

    def feed(self, block: bytes) -> Iterator[bytes]:
        """What the next packed bytes unfold to, a bounded piece at a time."""
        ...

    def ended(self) -> bool:
        """Whether the frame's end was read."""
        ...

    def rest(self) -> bytes:
        """Bytes of the last block that lie behind the end of the frame."""
        ...


def unpacked(path: Path, max_bytes: int, max_ratio: int) -> Iterator[bytes]:
    """The file in blocks, decompressed when its suffix is .gz or .zst.

    Raises DataError UNPACK_TRUNCATED, UNPACK_SECOND_FRAME, UNPACK_TRAILING_BYTES, UNPACK_CORRUPT, or UNPACK_CAP when it
    unfolds past ``max_bytes`` or ``max_ratio`` times its own size.
    """
    if path.suffix not in SUFFIXES:
        yield from _blocks(path)
        return
    cap = min(max_bytes, max(_EXEMPT_BYTES, max_ratio * path.stat().st_size))
    total = 0
    for piece in _unfold(path, _Gzip() if path.suffix == ".gz" else _Zstd()):
        total += len(piece)
        if total > cap:
            action = "raise files.max_unpacked_bytes or files.max_unpack_ratio if you trust the file"
            raise DataError("UNPACK_CAP", "a file unfolds past its cap", expected=cap, where=path, action=action)
        yield piece


def _blocks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _unfold(path: Path, frame: Frame) -> Iterator[bytes]:
    for block in _blocks(path):
        if frame.ended():
            raise _surplus(frame, block, path)
        try:
            yield from frame.feed(block)
        except (zlib.error, zstandard.ZstdError) as error:
            raise DataError("UNPACK_CORRUPT", f"a compressed file is damaged: {error}", where=path) from error
        if rest := frame.rest():
            raise _surplus(frame, rest, path)
    if not frame.ended():
        raise DataError("UNPACK_TRUNCATED", "a compressed file ends before its frame does", where=path, action=_AGAIN)


_AGAIN = "fetch or write the file again and compare its digest with the publisher's"


def _surplus(frame: Frame, rest: bytes, path: Path) -> DataError:
    if rest.startswith(frame.magic):
        action = "decompress it and compress it again as one frame"
        return DataError("UNPACK_SECOND_FRAME", "a second frame follows the first", where=path, action=action)
    return DataError("UNPACK_TRAILING_BYTES", "bytes follow the end of the frame", where=path, action=_AGAIN)


class _Gzip:
    magic = b"\x1f\x8b"

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def feed(self, block: bytes) -> Iterator[bytes]:
        while block and not self._inner.eof:
            yield self._inner.decompress(block, BLOCK_BYTES)
            block = self._inner.unconsumed_tail

    def ended(self) -> bool:
        return self._inner.eof

    def rest(self) -> bytes:
        return self._inner.unused_data


class _Zstd:
    magic = zstandard.FRAME_HEADER

    def __init__(self) -> None:
        self._inner: Any = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj()
        self._rest = b""

    def feed(self, block: bytes) -> Iterator[bytes]:
        for begin in range(0, len(block), _ZSTD_STEP_BYTES):
            yield self._inner.decompress(block[begin : begin + _ZSTD_STEP_BYTES])
            if self._inner.eof:
                self._rest = self._inner.unused_data + block[begin + _ZSTD_STEP_BYTES :]
                return

    def ended(self) -> bool:
        return self._inner.eof

    def rest(self) -> bytes:
        return self._rest
