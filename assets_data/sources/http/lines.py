"""Lines of an unpacked part: how many there are, and where a run of them ends. Counts line ends; parses nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from assets_data.sources.parts import Lines


def measure(blocks: Iterable[bytes]) -> tuple[int, int]:
    """``(lines, bytes)``; bytes after the last line end are a line too."""
    lines = size = 0
    last = b"\n"
    for block in blocks:
        lines, size, last = lines + block.count(b"\n"), size + len(block), block[-1:] or last
    return lines + (last != b"\n"), size


def take_lines(blocks: Iterable[bytes], first: int, most_lines: int, most_bytes: int) -> Lines | None:
    """The run from line ``first`` on: ``most_lines`` lines, or as many as reach ``most_bytes`` (0: no such bound).

    Ends with the part at the latest; None when the part has no line ``first``. Reads no further than it must.
    """
    line, offset, begin, ended = 1, 0, -1, True
    for piece in _pieces(blocks):
        if begin < 0 and line == first:
            begin = offset
        offset, ended = offset + len(piece), piece.endswith(b"\n")
        if ended:
            if begin >= 0 and (line - first + 1 == most_lines or 0 < most_bytes <= offset - begin):
                return Lines(first, line, begin, offset)
            line += 1
    return Lines(first, line - ended, begin, offset) if begin >= 0 else None


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        *whole, rest = block.split(b"\n")
        yield from (line + b"\n" for line in whole)
        if rest:
            yield rest
