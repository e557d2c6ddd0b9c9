"""Parts on this disk, each verified: from the cache where it still has its pinned digest, else from the server.

A part is pinned in the ledger before it takes its final name, and not before its digest, frame and lines are known;
bytes that are refused go to the store's quarantine, and the next call fetches again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assets_data.lineage import DataError, IntegrityError, Store, digest_file
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.verified import known_digest
from assets_data.sources.formats import TABLES, format_of
from assets_data.sources.http.client import Client
from assets_data.sources.http.config import HttpConfig
from assets_data.sources.http.download import Download
from assets_data.sources.http.index import part_url, read_digests, read_queries
from assets_data.sources.http.ledger import Ledger, PartEntry
from assets_data.sources.http.lines import measure
from assets_data.sources.http.partial import Partial, discard, journal_of
from assets_data.sources.http.progress import Progress
from assets_data.sources.json_shapes import is_lines
from assets_data.sources.unpack import unpacked

_PEEKED = 16 << 20  # bytes of a .json part that are looked at for its first two lines


class Fetcher:
    """Use as a context: its client and threads end with it."""

    def __init__(self, store: Store, ledger: Ledger, http: HttpConfig) -> None:
        self.store, self.ledger, self.http, self.client = store, ledger, http, Client(http)
        self.progress = Progress()
        self._parts = ThreadPoolExecutor(http.connections, "stemma-part")
        self._ranges = ThreadPoolExecutor(http.connections, "stemma-range")
        self._stated: dict[str, str] | None = None
        self._queries: dict[str, str] | None = None

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure:  # what is still coming ends at its next block, and is kept
            self.client.close()
        self._parts.shutdown(cancel_futures=True)
        self._ranges.shutdown(cancel_futures=True)
        self.client.close()
        self.progress.close()

    def known(self, name: str) -> PartEntry:
        """The part's ledger entry, fetched if it never was."""
        return self.ledger.part(name) or self.present(name)

    def blocks(self, name: str) -> Iterator[bytes]:
        """The part, unpacked, fetched if it is not there."""
        self.present(name)
        return self._unpacked(self.ledger.cached(name))

    def all_present(self, names: Iterable[str]) -> list[PartEntry]:
        """Every part on the disk and verified, several at a time. Raises the first refusal."""
        self._require_digests()
        futures = [self._parts.submit(self.present, name) for name in names]
        self.progress.expect(len(futures))
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def present(self, name: str) -> PartEntry:
        """The part on the disk and verified.

        Raises IntegrityError FETCH_DIGEST when the server's bytes are not the pinned ones, DataError for the rest.
        """
        with self.ledger.fetching(name):
            entry = self.ledger.part(name)
            if entry and self._intact(self.ledger.cached(name), entry):
                discard(self.ledger.partial(name))  # a kill just after the part took its name leaves the journal
            else:
                entry = self._fetch(name, entry)
        self.progress.done(entry.bytes)
        return entry

    def _intact(self, cached: Path, entry: PartEntry) -> bool:
        if cached.is_symlink():  # nobody here makes one; what it points to is not ours to read or move
            cached.unlink()
        if not cached.is_file():
            return False
        if (found := known_digest(cached)) == entry.sha256:
            return True
        what = "a kept part changed on this disk"
        reason = IntegrityError("CACHE_DIGEST", what, expected=entry.sha256, found=found, where=cached)
        self.store.quarantine(cached, reason)
        return False

    def _fetch(self, name: str, entry: PartEntry | None) -> PartEntry:
        url, path = part_url(self.http.base, name), self.ledger.partial(name)
        pinned = entry.sha256 if entry else self._pinned_by_publisher(name)
        download = Download(self.client, url, path, bool(pinned), self._ranges, self.progress.add, self._query(name))
        partial = download.run()
        found = digest_file(path)
        if pinned and found != pinned:
            raise self._refused(path, _other_bytes(url, pinned, found, first=entry is None))
        try:
            lines, unpacked_bytes = self._measured(path, name)
        except DataError as error:
            self._refused(path, IntegrityError(error.code, str(error)))
            raise
        return self._kept(name, url, partial, found, lines, unpacked_bytes)

    def _kept(
        self, name: str, url: str, partial: Partial, sha256: str, lines: int | None, unpacked_bytes: int | None
    ) -> PartEntry:
        entry = PartEntry(
            name=name,
            url=url,
            bytes=partial.path.stat().st_size,
            sha256=sha256,
            validator=partial.validator,
            lines=lines,
            unpacked=unpacked_bytes,
        )
        self.ledger.put_part(entry)
        with atomic.disk_errors(partial.path):
            os.replace(partial.path, self.ledger.cached(name))
            atomic.sync_directory(partial.path.parent)
        journal_of(partial.path).unlink(missing_ok=True)
        return entry

    def _measured(self, path: Path, name: str) -> tuple[int | None, int | None]:
        """Lines and unpacked bytes; what is packed is unpacked to its end, so that a cut frame is never pinned."""
        found = format_of(name)
        if found is None or found.kind in TABLES:
            return None, None
        blocks, in_lines = self._unpacked(path), found.kind == "jsonl"
        if found.kind == "json":
            in_lines, blocks = is_lines(blocks, _PEEKED)
        lines, size = measure(blocks)
        return (lines if in_lines else None), size

    def _query(self, name: str) -> str:
        if self._queries is None:
            self._queries = read_queries(self.http, self.ledger)
        return self._queries.get(name, "")

    def _unpacked(self, path: Path) -> Iterator[bytes]:
        return unpacked(path, self.http.max_unpacked_bytes, self.http.max_unpack_ratio, self.http.max_window_bytes)

    def _refused(self, path: Path, reason: IntegrityError) -> IntegrityError:
        journal_of(path).unlink(missing_ok=True)
        self.store.quarantine(path, reason)
        return reason

    def _require_digests(self) -> None:
        if self.http.sha256_url and self._stated is None:
            self._stated = read_digests(self.client)

    def _pinned_by_publisher(self, name: str) -> str | None:
        self._require_digests()
        if self._stated is None:
            return None
        if name not in self._stated:
            raise DataError("DIGEST_MISSING", "the publisher states no digest of a part", found=name)
        return self._stated[name]


def _other_bytes(url: str, pinned: str, found: str, first: bool) -> IntegrityError:
    what = f"a part on the server is not {'what the publisher states' if first else 'what it was when first fetched'}"
    action = "run again if the server was at fault; if it holds another corpus now, give that another http.name"
    return IntegrityError("FETCH_DIGEST", what, expected=pinned, found=found, where=url, action=action)
