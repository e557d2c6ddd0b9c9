"""What a source is made of: parts (files, digested before they are read), records, and slices.

Owns the protocol every source keeps. A slice's parts depend only on each part's own path, so a file that is added or
removed moves no other file to another slice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from assets_data.lineage import DataError, digest_json, text_key64
from assets_data.lineage.storage.verified import settled_digest
from assets_data.sources.config import SourceConfig


class Record(NamedTuple):
    """One raw text and where it came from: the part's path, ``#``, and the place inside it.

    With a ``prompt`` the text is the response to it. ``split`` is the source's own, or empty: drawn by digest.
    ``carried`` is what its source says besides: a JSON object of field paths and texts, or empty. No record id has it.
    """

    origin: str
    text: str
    prompt: str = ""
    split: str = ""
    carried: str = ""


class Lines(NamedTuple):
    """A run of lines of an unpacked file: numbers from 1, the last one included, and bytes ``[begin, end)``."""

    first: int
    last: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a slice, with the size and digest it had before anything was read from it.

    ``url`` is where it came from, if not from this disk; of a part with ``lines`` only those belong to the slice.
    """

    origin: str
    path: Path
    bytes: int
    sha256: str
    url: str = ""
    lines: Lines | None = None

    def require_unchanged(self) -> None:
        """Raise DataError SOURCE_CHANGED or SOURCE_UNREADABLE when the file is no longer what it was planned to be."""
        if (found := _digest(self.path)) != self.sha256:
            raise DataError(
                "SOURCE_CHANGED",
                "a source file changed while it was read",
                expected=self.sha256,
                found=found,
                where=self.path,
                action="let the writer finish, then run the stage again",
            )


def planned_digest(parts: Iterable[Part]) -> str:
    """What a slice was planned to read, as one digest: each part's origin, SHA-256 and lines."""
    return digest_json([[part.origin, part.sha256, *(part.lines or ())] for part in parts])


class Source(Protocol):
    """A place raw records come from. ``origin`` and ``licence`` are notes that travel with the data to its manifest.

    ``stats`` are facts of the work done so far (bytes on the wire, files left out) for people to see; no identity has
    them.
    """

    origin: str
    licence: str
    stats: dict[str, Any]

    def slices(self) -> dict[str, list[str]]:
        """Slice name -> paths of its parts, both in a stable order; every slice has at least one part."""
        ...

    def parts(self, slice_name: str) -> list[Part]:
        """The slice's parts, digested now."""
        ...

    def records(self, part: Part, dropped: Counter[str]) -> Iterator[Record]:
        """The part's records in file order, in bounded memory; rows left out are added to ``dropped`` by reason.

        Raises DataError for bytes that break their format, and for a text that is not Unicode or too long.
        """
        ...

    def rows_besides(self, slice_name: str) -> bool:
        """Whether some other slice may hold a row: then this one may be empty."""
        ...


@runtime_checkable
class Rooted(Protocol):
    """A source whose files lie below a folder of this machine."""

    root: Path


class _Ledger(Protocol):
    root: Path


@runtime_checkable
class Fetching(Protocol):
    """A source that keeps what it fetched beside a ledger."""

    ledger: _Ledger


def storable(record: Record, max_bytes: int) -> Record:
    """``record``, if it can be kept. Raises DataError RECORD_NOT_UNICODE or RECORD_TOO_LONG (with prompt and what
    is carried).
    """
    try:
        size = sum(len(said.encode()) for said in (record.text, record.prompt, record.carried))
    except UnicodeEncodeError as error:
        raise DataError("RECORD_NOT_UNICODE", "a text holds half a surrogate pair", where=record.origin) from error
    if size > max_bytes:
        limit = f"at most {max_bytes:,} bytes"
        raise DataError("RECORD_TOO_LONG", "a text is too long", expected=limit, found=f"{size:,}", where=record.origin)
    return record


def assign_slices(prefix: str, paths: Iterable[str], config: SourceConfig) -> dict[str, list[str]]:
    """Spread relative paths over ``{prefix}-0 .. {prefix}-{shards-1}`` by each path's hash; empty slices are left out.
    Of more than ten, numbers have leading zeros, so that names sort as the numbers do.

    ``parts_per_slice`` keeps the paths with the lowest hashes, so raising it only ever adds.
    """
    unique = sorted(set(paths))
    shards: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for path, key in zip(unique, text_key64(unique).tolist(), strict=True):
        shards[key % config.shards].append((key, path))
    limit = config.parts_per_slice or None
    digits = len(str(config.shards - 1))
    return {f"{prefix}-{n:0{digits}}": sorted(path for _, path in sorted(shards[n])[:limit]) for n in sorted(shards)}


def digest_parts(root: Path, source: Source, slice_name: str) -> list[Part]:
    """The parts of a slice whose paths are relative to ``root``. Raises DataError SLICE_UNKNOWN, SOURCE_UNREADABLE."""
    slices = source.slices()
    if slice_name not in slices:
        known = ", ".join(slices) or "none: the source is empty"
        raise DataError("SLICE_UNKNOWN", "the source has no such slice", expected=known, found=slice_name, where=root)
    paths = [(name, root / name) for name in slices[slice_name]]
    return [Part(origin=n, path=p, sha256=_digest(p), bytes=p.stat().st_size) for n, p in paths]


def unreadable(
    path: Path, error: OSError, action: str = "put it back or make it readable, then run again"
) -> DataError:
    """The refusal of a file or folder that is not there (any more) or must not be read."""
    what = f"cannot read a source file or folder: {error.strerror or error}"
    return DataError("SOURCE_UNREADABLE", what, where=path, action=action)


def _digest(path: Path) -> str:
    try:
        return settled_digest(path)
    except OSError as error:
        raise unreadable(path, error) from error
