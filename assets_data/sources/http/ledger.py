"""What is known of an HTTP source: each part's size, digest and lines, and which lines went into which slice.

One small file per part and per slice, each replaced as a whole, so a kill leaves the old or the new one and a source of
100,000 parts costs no more to update than one of ten. Lives in ``<store>/fetch/<source digest>/``; fetches nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from assets_data.lineage import DataError, IntegrityError, Store, digest_json, lease
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic
from assets_data.sources.http.config import HttpConfig
from assets_data.sources.parts import Lines

_SUFFIXES = re.compile(r"(?:\.[A-Za-z0-9]{1,10}){1,2}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEntry:
    """A part as it arrived: its digest is pinned from then on. ``lines`` and ``unpacked`` only of line formats."""

    name: str
    url: str
    bytes: int
    sha256: str
    validator: str | None
    lines: int | None
    unpacked: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicePlan:
    """The parts of a slice in order, each whole (None) or by its lines. Recorded once, never changed."""

    name: str
    ranges: tuple[tuple[str, Lines | None], ...]


Taken = defaultdict[str, list[Lines | None]]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of one source, under ``root``."""

    root: Path

    @classmethod
    def of(cls, store: Store, config: HttpConfig) -> Ledger:
        """The ledger of the parts that index, base and pattern name; however they are cut into slices."""
        source = digest_json([config.name, config.index_url, config.base, config.pattern])
        return cls(store.root / "fetch" / source.removeprefix("sha256:")[:16])

    def part(self, name: str) -> PartEntry | None:
        """What is known of a part that arrived at some time, or None."""
        path = self._entry(name)
        return _checked(PartEntry, "name", name, path) if path.is_file() else None

    def put_part(self, entry: PartEntry) -> None:
        """Pin a part. Call with its lease."""
        atomic.write_json(self._entry(entry.name), asdict(entry))

    def parts(self) -> list[PartEntry]:
        """Every part that ever arrived, by name."""
        paths = (self.root / "parts").glob("*/*.json")
        return sorted((PartEntry(**load_json(path.read_bytes(), path)) for path in paths), key=lambda entry: entry.name)

    def slice(self, name: str) -> SlicePlan | None:
        """A recorded slice, or None."""
        path = self._plan(name)
        if not path.is_file():
            return None
        plan = _checked(SlicePlan, "name", name, path)
        ranges = tuple((part, Lines(*lines) if lines else None) for part, lines in plan.ranges)
        return SlicePlan(name=name, ranges=ranges)

    def slices(self) -> list[SlicePlan]:
        """Every recorded slice, in the order they were planned."""
        names = [path.stem for path in (self.root / "slices").glob("*.json")]
        found = (self.slice(name) for name in sorted(names, key=lambda name: int(name.rpartition("-")[2])))
        return [plan for plan in found if plan]

    def put_slice(self, plan: SlicePlan, taken: Taken) -> None:
        """Record a slice. Call with the planning lease. Raises DataError SLICE_OVERLAP, for no line is given twice."""
        for part, lines in plan.ranges:
            if any(_overlap(lines, other) for other in taken[part]):
                raise DataError("SLICE_OVERLAP", "lines of a part are in another slice", found=plan.name, where=part)
        atomic.write_json(self._plan(plan.name), asdict(plan))

    def taken(self) -> Taken:
        """Part -> what slices took of it; None stands for all."""
        taken: Taken = defaultdict(list)
        for plan in self.slices():
            for part, lines in plan.ranges:
                taken[part].append(lines)
        return taken

    @contextlib.contextmanager
    def planning(self) -> Iterator[None]:
        """The lease under which slices are planned and the index is read: one planner at a time."""
        with lease(self.root / "plan.lock"):
            for folder in (self.root, self.root / "slices"):
                for temp in folder.glob(f"{atomic.TEMP_MARK}*"):
                    temp.unlink()
            yield

    @contextlib.contextmanager
    def fetching(self, name: str) -> Iterator[None]:
        """The lease on one part (and some others, so that locks stay few)."""
        key = _key(name)
        with lease(self.root / "locks" / f"{key[:2]}.lock"):
            atomic.sweep_temps(self._entry(name))
            yield

    def cached(self, name: str) -> Path:
        """Where a part is kept, under a name made of its digest: what an index says is never a path here."""
        return self.root / "cache" / f"{_key(name)}{_suffixes(name)}"

    def partial(self, name: str) -> Path:
        """Where a part is while it comes."""
        return self.root / "cache" / f"partial-{_key(name)}{_suffixes(name)}"

    def _entry(self, name: str) -> Path:
        key = _key(name)
        return self.root / "parts" / key[:2] / f"{key}.json"

    def _plan(self, name: str) -> Path:
        return self.root / "slices" / f"{name}.json"


def _checked(cls: Any, field: str, expected: str, path: Path) -> Any:
    document = load_json(path.read_bytes(), path)
    try:
        entry = cls(**document)
    except TypeError as error:
        raise IntegrityError("LEDGER_SHAPE", "a ledger's file has other members", where=path) from error
    if (found := getattr(entry, field)) != expected:
        raise IntegrityError("LEDGER_MISPLACED", "another entry is in its place", expected=expected, found=found)
    return entry


def _overlap(one: Lines | None, other: Lines | None) -> bool:
    return one is None or other is None or (one.first <= other.last and other.first <= one.last)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _suffixes(name: str) -> str:
    """The suffixes that say how to read a part; nothing else of its name."""
    found = _SUFFIXES.search(PurePosixPath(name).name)
    return found[0] if found else ""
