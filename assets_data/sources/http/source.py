"""The HTTP source: slices recorded in the ledger, parts downloaded and pinned, records read from verified files.

A slice is planned once. From then on its parts are the ledger's: neither a growing index nor other settings change it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from assets_data.lineage import ConfigError, DataError, Store, from_dict, to_dict
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic
from assets_data.sources.config import SourceConfig
from assets_data.sources.http.fetcher import Fetcher
from assets_data.sources.http.index import part_url, read_index, read_left_out
from assets_data.sources.http.ledger import Ledger, SlicePlan, Taken
from assets_data.sources.http.plan import next_ranges
from assets_data.sources.parts import Part, Record
from assets_data.sources.reader import RowReader


class HttpSource:
    """The parts that ``config.http.index_url`` names; ledger and parts are kept under the store's root."""

    def __init__(self, config: SourceConfig, store: Store) -> None:
        self.config, self.http, self.store = config, config.http, store
        self.ledger = Ledger.of(store, config.http)
        self.origin = "parts of an HTTP index" + (f" that hold {self.http.pattern!r}" if self.http.pattern else "")
        self.licence = config.http.licence
        self.stats: dict[str, Any] = {}

    def slices(self) -> dict[str, list[str]]:
        """Every recorded slice, after recording new ones until there are ``shards``.

        Asks for the index, no more; slices by count or size are fetched as well, for only their bytes say where they
        end.
        """
        missing = self.config.shards - len(self.ledger.slices())
        if missing > 0:
            self.add(missing)
        return {plan.name: [part for part, _ in plan.ranges] for plan in self.ledger.slices()}

    def add(self, number: int, whole_only: bool = False) -> list[SlicePlan]:
        """Record up to ``number`` slices more, fewer when the index has no more; ``whole_only`` leaves out a last
        one of fewer parts than the others, which the index may still fill.
        """
        self._require_own_name()
        with self.ledger.planning(), self.fetcher() as fetcher:
            atomic.write_json(self.ledger.root / "source.json", to_dict(self.config))
            taken, planned = self.ledger.taken(), []
            for plan in self._planned(fetcher, taken, number, whole_only):
                self.ledger.put_slice(plan, taken)
                planned.append(plan)
            return planned

    def preview(self, number: int) -> list[SlicePlan]:
        """What :meth:`add` would record, for slices of whole parts; nothing is recorded or fetched but the index."""
        if self.http.count or self.http.size:
            raise DataError("SLICE_UNFORESEEN", "slices by count or size end where their bytes say", action="add them")
        with self.ledger.planning(), self.fetcher() as fetcher:
            return list(self._planned(fetcher, self.ledger.taken(), number, False))

    def parts(self, slice_name: str) -> list[Part]:
        """The slice's parts, each pinned by digest: fetched if new, verified if kept.

        A pinned part that is no longer kept is fetched when its records are read, so reuse costs no network.
        Raises DataError SLICE_UNKNOWN; IntegrityError FETCH_DIGEST when a part is not what it was.
        """
        plan = self.ledger.slice(slice_name) or self._found(slice_name)
        names = [name for name, _ in plan.ranges]
        needed = [n for n in names if self.ledger.part(n) is None or self.ledger.cached(n).exists()]
        if left_out := read_left_out(self.ledger):
            self.stats["left_out_of_source"] = left_out
        with self.fetcher() as fetcher:
            entries = {entry.name: entry for entry in fetcher.all_present(needed)}
            entries |= {name: fetcher.known(name) for name in names if name not in entries}
        return [
            Part(
                origin=name,
                path=self.ledger.cached(name),
                bytes=entries[name].bytes,
                sha256=entries[name].sha256,
                url=part_url(self.http.base, name),
                lines=lines,
            )
            for name, lines in plan.ranges
        ]

    def records(self, part: Part, dropped: Counter[str]) -> Iterator[Record]:
        """One record per row of ``part``, of its own lines only, as :class:`RowReader` reads it."""
        if not part.path.exists():
            with self.fetcher() as fetcher:
                fetcher.present(part.origin)
        caps = (self.http.max_unpacked_bytes, self.http.max_unpack_ratio, self.http.max_window_bytes)
        yield from RowReader(self.config, *caps).records(part, dropped)

    def rows_besides(self, slice_name: str) -> bool:
        """Whether other slices are recorded: whether they hold a row is not known before they are fetched."""
        return any(plan.name != slice_name for plan in self.ledger.slices())

    @contextlib.contextmanager
    def fetcher(self) -> Iterator[Fetcher]:
        """What fetches and verifies this source's parts; its bytes and seconds go to ``stats``."""
        with Fetcher(self.store, self.ledger, self.http) as fetcher:
            yield fetcher
        if wire_bytes := fetcher.progress.wire_bytes:
            self.stats["wire_bytes"] = self.stats.get("wire_bytes", 0) + wire_bytes
            self.stats["wire_seconds"] = round(self.stats.get("wire_seconds", 0) + fetcher.progress.seconds, 3)

    def _planned(self, fetcher: Fetcher, taken: Taken, number: int, whole_only: bool) -> Iterator[SlicePlan]:
        """Plans to be recorded one by one; ``taken`` then grows by each."""
        names, first = read_index(fetcher.client, self.ledger), len(self.ledger.slices())
        size = self.config.parts_per_slice or 1
        for index in range(first, first + number):
            ranges = next_ranges(names, taken, self.http, size, fetcher)
            if not ranges or (whole_only and len(ranges) < size):
                return
            yield SlicePlan(name=f"{self.http.name}-{index}", ranges=ranges)
            for part, lines in ranges:
                taken[part].append(lines)

    def _require_own_name(self) -> None:
        """Raise ConfigError HTTP_NAME when slices of another index or pattern are called the same in this store."""
        for other in recorded_sources(self.store):
            if other.http.name == self.http.name and other.ledger != self.ledger:
                what = "another index, base or pattern has slices of this name in the store"
                found = f"{other.http.name}-0 from {other.http.index_url} ({other.http.pattern!r})"
                raise ConfigError("HTTP_NAME", what, found=found, action="give this one an http.name of its own")

    def _found(self, slice_name: str) -> SlicePlan:
        known = self.slices()
        if plan := self.ledger.slice(slice_name):
            return plan
        names = ", ".join(known) or "none: the index names no parts"
        action = "add it: `stemma slices add`"
        raise DataError(
            "SLICE_UNKNOWN", "the source has no such slice", expected=names, found=slice_name, action=action
        )


def recorded_sources(store: Store) -> list[HttpSource]:
    """The source of every ledger in the store, with the settings it was last added to with."""
    paths = sorted((store.root / "fetch").glob("*/source.json"))
    return [HttpSource(from_dict(SourceConfig, load_json(path.read_bytes(), path)), store) for path in paths]
