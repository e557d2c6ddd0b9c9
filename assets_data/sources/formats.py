"""What a file's name says: the format inside and the compression outside, by suffix in any case. Opens nothing."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple

FORMATS = {
    **{suffix: "jsonl" for suffix in (".jsonl", ".ndjson", ".jsonlines", ".ldjson")},
    ".json": "json",
    **{suffix: "txt" for suffix in (".txt", ".text")},
    **{suffix: "parquet" for suffix in (".parquet", ".pq", ".parq")},
    **{suffix: "arrow" for suffix in (".arrow", ".feather", ".ipc", ".arrows")},
}
PACKINGS = {
    **{suffix: "gzip" for suffix in (".gz", ".gzip", ".bgz")},
    **{suffix: "zstd" for suffix in (".zst", ".zstd")},
}
TABLES = ("parquet", "arrow")  # compressed inside, never outside


class Format(NamedTuple):
    """``kind`` is one of jsonl, json, txt, parquet, arrow; ``packing`` is gzip, zstd or empty."""

    kind: str
    packing: str


def format_of(name: str) -> Format | None:
    """What the name of a file (or its path) says, or None for one that nobody reads: ``A.JSONL.GZ`` is jsonl, gzip."""
    path = PurePosixPath(name)
    packing = packing_of(name)
    inner = PurePosixPath(path.stem) if packing else path
    kind = FORMATS.get(inner.suffix.lower())
    return None if kind is None or (packing and kind in TABLES) else Format(kind, packing)


def packing_of(name: str) -> str:
    """The compression that a name's last suffix says, or empty."""
    return PACKINGS.get(PurePosixPath(name).suffix.lower(), "")


def readable_names() -> str:
    """Every suffix that is read, for messages."""
    texts = [suffix for suffix, kind in FORMATS.items() if kind not in TABLES]
    tables = [suffix for suffix, kind in FORMATS.items() if kind in TABLES]
    return f"{', '.join(texts)} (also {', '.join(PACKINGS)}), {', '.join(tables)}"
