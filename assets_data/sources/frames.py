"""One gzip member, one zstd frame or one skippable frame at a time, each knowing whether its end was read.

Whatever it packs, a frame unfolds to bounded pieces. Opens no file.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Any, Protocol

import zstandard

_OUT_BYTES = 256 << 10
_GZIP_MAGIC = b"\x1f\x8b"
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)  # RFC 8878, 3.1.2
_ZSTD_BLOCKS = 2  # decoded at a time: each unfolds to at most 128 KiB (RFC 8878, 3.1.1.2.4), whatever it packs
_ZSTD_HEADER = 18  # bytes, at most


class WindowTooLarge(Exception):
    """A zstd frame needs ``window`` bytes of memory, more than it may have."""

    def __init__(self, window: int) -> None:
        super().__init__(window)
        self.window = window


class Frame(Protocol):
    """A decompressor that knows where its frame ends."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the next packed bytes unfold to, a bounded piece at a time."""
        ...

    def ended(self) -> bool:
        """Whether the frame's end was read."""
        ...

    def surplus(self) -> int:
        """How many bytes of the last piece lie behind the end of the frame."""
        ...


def frame_kind(packing: str, head: bytes, max_window: int) -> Frame:
    """What reads the frame that begins with ``head``, which is cut only where the file ends.

    Raises LookupError when no frame begins like that, WindowTooLarge for a zstd frame that needs more memory.
    """
    if packing == "gzip":
        if not _GZIP_MAGIC.startswith(head[:2]):
            raise LookupError
        return _Gzip()
    if int.from_bytes(head[:4], "little") in _SKIPPABLE and len(head) >= 4:
        return _Skipped()
    if not zstandard.FRAME_HEADER.startswith(head[:4]) and not _cut_skippable(head):
        raise LookupError
    return _Zstd(head, max_window)


def _cut_skippable(head: bytes) -> bool:
    return len(head) < 4 and any(number.to_bytes(4, "little").startswith(head) for number in _SKIPPABLE)


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        while piece and not self._inner.eof:
            yield self._inner.decompress(piece, _OUT_BYTES)
            piece = self._inner.unconsumed_tail

    def ended(self) -> bool:
        return self._inner.eof

    def surplus(self) -> int:
        return len(self._inner.unused_data)


class _Skipped:
    """Magic, length, and that many bytes that are nobody's content."""

    def __init__(self) -> None:
        self._head, self._left, self._surplus = b"", 1, 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if len(self._head) < 8:
            taken = piece[: 8 - len(self._head)]
            self._head, piece = self._head + taken, piece[len(taken) :]
            if len(self._head) < 8:
                return
            self._left = int.from_bytes(self._head[4:], "little")
        self._surplus = max(0, len(piece) - self._left)
        self._left -= len(piece) - self._surplus
        yield b""

    def ended(self) -> bool:
        return self._left == 0

    def surplus(self) -> int:
        return self._surplus


class _Zstd:
    def __init__(self, head: bytes, max_window: int) -> None:
        whole = len(head) >= _ZSTD_HEADER  # else the file ends here, and the frame holds four blocks at most
        if whole and (window := zstandard.get_frame_parameters(head[:_ZSTD_HEADER]).window_size) > max_window:
            raise WindowTooLarge(window)
        self._inner: Any = zstandard.ZstdDecompressor(max_window_size=max_window).decompressobj()
        self._surplus = 0
        self._held = b""  # the beginning of a block's header, to be joined with what comes
        self._ahead = zstandard.frame_header_size(head[:_ZSTD_HEADER]) if whole else sys.maxsize  # to the next block

    def feed(self, piece: bytes) -> Iterator[bytes]:
        piece, self._held, end = self._held + piece, b"", 0
        for begin, end in self._cuts(piece):
            yield self._inner.decompress(piece[begin:end])
            if self._inner.eof:
                self._surplus = len(self._inner.unused_data) + len(piece) - end
                return
        self._held = piece[end:]

    def _cuts(self, piece: bytes) -> Iterator[tuple[int, int]]:
        """``(begin, end)`` of runs in which at most 2 blocks begin; all of ``piece`` but a header that is cut."""
        begin, size, at = 0, len(piece), self._ahead
        while at + 3 <= size:
            for _ in range(_ZSTD_BLOCKS):
                if at + 3 > size:
                    break
                header = int.from_bytes(piece[at : at + 3], "little")
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

    def surplus(self) -> int:
        return self._surplus
