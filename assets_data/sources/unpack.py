"""Compressed files to blocks of bytes: bounded, and only whole. One frame per file, its end required, nothing after it.

The streaming interfaces of both libraries end quietly on a truncated frame; the low-level objects used here say whether
the end was reached. Does not verify digests: the caller knows what it planned to read.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import zstandard

from assets_data.lineage import DataError

BLOCK_BYTES = 256 << 10
SUFFIXES = (".gz", ".zst")
_EXEMPT_BYTES = 1 << 20  # small files of repeated rows reach any ratio
_MAX_WINDOW_BYTES = 128 << 20  # what the zstd program itself accepts without being asked
_ZSTD_BLOCKS = 2  # decoded at a time: each unfolds to at most 128 KiB (RFC 8878, 3.1.1.2.4), whatever it packs


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
            action = "raise the source's max_unpacked_bytes or max_unpack_ratio if you trust the file"
            raise DataError("UNPACK_CAP", "a file unfolds past its cap", expected=cap, where=path, action=action)
        yield piece


def between(blocks: Iterable[bytes], begin: int, end: int) -> Iterator[bytes]:
    """Bytes ``[begin, end)`` of what ``blocks`` are; nothing behind them is asked for."""
    offset = 0
    for block in blocks:
        if offset + len(block) > begin:
            yield block[max(begin - offset, 0) : end - offset]
        offset += len(block)
        if offset >= end:
            return


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
        self._held = b""  # the beginning of a block's header, to be joined with what comes
        self._ahead: int | None = None  # bytes until the next block's header; None before the frame's own

    def feed(self, block: bytes) -> Iterator[bytes]:
        block, self._held, end = self._held + block, b"", 0
        for begin, end in self._cuts(block):
            yield self._inner.decompress(block[begin:end])
            if self._inner.eof:
                self._rest = self._inner.unused_data + block[end:]
                return
        self._held = block[end:]

    def _cuts(self, block: bytes) -> Iterator[tuple[int, int]]:
        """``(begin, end)`` of pieces in which at most 2 blocks begin; all of ``block`` but a header that is cut."""
        begin, size = 0, len(block)
        if self._ahead is None:  # a whole file of less than the largest header holds four blocks at most
            self._ahead = zstandard.frame_header_size(block[:18]) if size >= 18 else size
        at = self._ahead
        while at + 3 <= size:
            for _ in range(_ZSTD_BLOCKS):
                if at + 3 > size:
                    break
                header = int.from_bytes(block[at : at + 3], "little")
                at += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)  # a run-length block holds one byte
                if header & 1:  # the last block: what follows is a checksum, or not ours
                    at = sys.maxsize
            yield begin, min(at, size)
            begin = min(at, size)
        if begin < min(at, size):
            yield begin, min(at, size)
        self._ahead = at - min(at, size)

    def ended(self) -> bool:
        return self._inner.eof

    def rest(self) -> bytes:
        return self._rest
