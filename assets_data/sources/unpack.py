"""Compressed files to blocks of bytes: bounded, and only whole. Every member or frame is read, and each to its end.

A gzip file is one or more members (RFC 1952), and zeros that fill it up; a zstd file is frames and skippable frames
(RFC 8878). Nothing else may follow. The streaming interfaces of both libraries end quietly on a truncated frame; the
low-level objects used here say whether the end was reached. Does not verify digests: the caller knows what it planned.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

from assets_data.lineage import DataError
from assets_data.sources.formats import packing_of
from assets_data.sources.frames import Frame, WindowTooLarge, frame_kind
from assets_data.sources.signature import HEAD_BYTES, described

BLOCK_BYTES = 256 << 10
WINDOW_BYTES = 128 << 20  # what the zstd program itself accepts without being asked
_PIECE_BYTES = 32 << 10  # given to a frame at a time: what it returns unread is copied, and small frames are many
_EXEMPT_BYTES = 1 << 20  # small files of repeated rows reach any ratio
_AGAIN = "fetch or write the file again and compare its digest with the publisher's"


def unpacked(path: Path, max_bytes: int, max_ratio: int, max_window: int = WINDOW_BYTES) -> Iterator[bytes]:
    """The file in blocks, decompressed when its suffix says so.

    Raises DataError UNPACK_TRUNCATED, UNPACK_TRAILING_BYTES, UNPACK_CORRUPT, UNPACK_WINDOW when a zstd frame needs more
    than ``max_window`` bytes of memory, or UNPACK_CAP when it unfolds past ``max_bytes`` or ``max_ratio`` times its own
    size.
    """
    if not (packing := packing_of(path.name)):
        yield from _blocks(path)
        return
    cap = min(max_bytes, max(_EXEMPT_BYTES, max_ratio * path.stat().st_size))
    total = 0
    for piece in _unfold(path, packing, max_window):
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


class _Input:
    """A file's bytes in pieces, of which some can be looked at before they are taken, and taken back after."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._held, self._at = blocks, b"", 0

    def ahead(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer at the end of the file; they are still to be taken."""
        while len(self._held) - self._at < size and (block := next(self._blocks, b"")):
            self._held, self._at = self._held[self._at :] + block, 0
        return self._held[self._at : self._at + size]

    def take(self) -> bytes:
        """The next piece; empty at the end of the file."""
        piece = self.ahead(1) and self._held[self._at : self._at + _PIECE_BYTES]
        self._at += len(piece)
        return piece

    def only_zeros(self) -> bool:
        """Take all that is left; whether it is nothing but zero bytes."""
        held, self._held, self._at = self._held[self._at :], b"", 0
        return not any(block.strip(b"\0") for block in itertools.chain([held], self._blocks))

    def give_back(self, size: int) -> None:
        """Have the last ``size`` bytes of the piece just taken come again."""
        self._at -= size


def _unfold(path: Path, packing: str, max_window: int) -> Iterator[bytes]:
    source, number = _Input(_blocks(path)), 0
    while head := source.ahead(HEAD_BYTES):
        try:
            yield from _frame(source, frame_kind(packing, head, max_window), path)
        except (zlib.error, zstandard.ZstdError) as error:
            raise DataError("UNPACK_CORRUPT", f"a compressed file is damaged: {error}", where=path) from error
        except WindowTooLarge as error:
            raise _window(error.window, max_window, path) from error
        except LookupError as error:
            if number and packing == "gzip" and source.only_zeros():
                return  # what fills up the last block of a tape or a disk image; gzip itself passes over it
            raise _no_frame(packing, head, number, path) from error
        number += 1
    if not number:
        raise DataError("UNPACK_TRUNCATED", "a compressed file holds not one byte", where=path, action=_AGAIN)


def _frame(source: _Input, frame: Frame, path: Path) -> Iterator[bytes]:
    while not frame.ended():
        if not (piece := source.take()):
            raise DataError("UNPACK_TRUNCATED", "a compressed file ends before its frame", where=path, action=_AGAIN)
        yield from frame.feed(piece)
    source.give_back(frame.surplus())


def _no_frame(packing: str, head: bytes, number: int, path: Path) -> DataError:
    if number:
        what = f"bytes that are no {packing} follow the end of a frame"
        return DataError("UNPACK_TRAILING_BYTES", what, found=described(head), where=path, action=_AGAIN)
    what, action = f"a file that is called {path.suffix} is not {packing}", "name the file after what it is"
    return DataError(
        "UNPACK_CORRUPT", what, expected=f"{packing} data", found=described(head), where=path, action=action
    )


def _window(found: int, allowed: int, path: Path) -> DataError:
    return DataError(
        "UNPACK_WINDOW",
        "a zstd frame needs a larger window than is allowed",
        expected=f"at most {allowed:,} bytes",
        found=f"{found:,} bytes",
        where=path,
        action="set files.max_window_bytes (http.max_window_bytes for an HTTP index) to what was found: that much "
        "memory is used while the file is read",
    )
