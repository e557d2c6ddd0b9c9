"""One part from the server to a complete partial: ranges in parallel, continued after a break, begun anew when it must.

Every range is asked for under the strong validator of the first answer, so bytes of two versions never mix. Whether
the result is the pinned one is the caller's question.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from assets_data.lineage import DataError
from assets_data.sources.http.client import UNSTEADY, Client, Unsteady, ends_visibly, shown
from assets_data.sources.http.partial import Partial, discard

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")
_SURE_AFTER = timedelta(seconds=60)  # RFC 9110 8.8.2.2: a younger Last-Modified may stand for two versions


class StartOver(Exception):
    """What came cannot be continued: the object changed, or the server's ranges are not to be trusted."""


class Download:
    """Fetches ``url`` into ``path``. ``judged`` means that a pinned digest will decide in the end.

    ``progress`` is called with the bytes of each block that came; ``query`` (``?...``) is sent and noted nowhere.
    """

    def __init__(
        self,
        client: Client,
        url: str,
        path: Path,
        judged: bool,
        pool: Executor,
        progress: Callable[[int], None],
        query: str = "",
    ) -> None:
        self.client, self.url, self.path, self.judged = client, url, path, judged
        self._asked = url + query
        self.pool, self.progress, self.config = pool, progress, client.config
        self._partial: Partial | None = None
        self._stopped = False

    def run(self) -> Partial:
        """The part, whole and flushed. Raises DataError; what came by then is kept for the next call."""
        self._partial = Partial.resume(self.path, self.url)
        reason, tries = "", self.config.tries
        for number in range(tries):
            try:
                partial = self._partial or self._begin(ranges=number == 0, tries=tries - number)
                self._complete(partial)
                return partial
            except StartOver as error:
                reason = str(error)
                self._drop()
        raise DataError("FETCH_UNSTEADY", f"given up after {tries} tries: {reason}", where=self._where())

    def _complete(self, partial: Partial) -> None:
        try:
            self._fill(partial, partial.size or 0)
        except StartOver:
            raise
        except BaseException:
            partial.abandon()
            raise
        partial.close()

    def _begin(self, ranges: bool, tries: int) -> Partial:
        """The first answer. It may break off once its partial can be continued; the rest is then asked for."""
        headers = {"Range": f"bytes=0-{self.config.range_bytes - 1}"} if ranges else {}

        def attempt() -> Partial:
            self._drop()
            try:
                with self.client.opened(self._asked, headers) as response:
                    return self._receive_first(response)
            except (*UNSTEADY, Unsteady):
                if self._partial and self._partial.validator and self._partial.size and self._partial.received:
                    return self._partial
                raise

        return self.client.persist(attempt, self._asked, tries)

    def _receive_first(self, response: httpx.Response) -> Partial:
        validator = strong_validator(response.headers)
        self._require_no_page(response)
        if response.status_code == 200:
            length = response.headers.get("content-length")
            return self._receive_whole(response, validator, int(length) if length is not None else None)
        begin, end, size = _content_range(response)
        if response.status_code != 206 or begin != 0 or end != min(self.config.range_bytes, size):
            raise StartOver("the first range is not the one that was asked for")
        if validator is None and end < size:
            raise StartOver("the server gives no strong validator to continue under")
        partial = self._create(validator, size)
        self._receive(response, partial, 0, end)
        return partial

    def _receive_whole(self, response: httpx.Response, validator: str | None, size: int | None) -> Partial:
        partial = self._create(validator, size)
        received = self._receive(response, partial, 0, size)
        if size is None and not ends_visibly(response) and not self.judged:
            raise Unsteady("FETCH_NO_LENGTH", "the answer does not say how long it is")
        partial.size = received
        return partial

    def _create(self, validator: str | None, size: int | None) -> Partial:
        if size is not None and size > self.config.max_part_bytes:
            raise self._too_large(size)
        self._partial = Partial.create(self.path, self.url, validator, size)
        return self._partial

    def _fill(self, partial: Partial, size: int) -> None:
        step = self.config.range_bytes
        gaps = [
            (low, min(low + step, end)) for begin, end in partial.missing(0, size) for low in range(begin, end, step)
        ]
        futures = [self.pool.submit(self._persist_span, partial, begin, end) for begin, end in gaps]
        try:
            _join(futures)
        finally:
            self._stopped = True
            wait([future for future in futures if not future.cancel()])
            self._stopped = False

    def _persist_span(self, partial: Partial, begin: int, end: int) -> None:
        self.client.persist(lambda: self._span(partial, begin, end), self._asked)

    def _span(self, partial: Partial, begin: int, end: int) -> None:
        """What is still missing of ``[begin, end)``, which has one gap at most: its end."""
        for first, last in partial.missing(begin, end):
            headers = {"Range": f"bytes={first}-{last - 1}", "If-Range": partial.validator or ""}
            with self.client.opened(self._asked, headers) as response:
                if response.status_code != 206:
                    raise StartOver("the object changed, or the server does not continue")
                if _content_range(response) != (first, last, partial.size):
                    raise StartOver("a range is not the one that was asked for")
                self._receive(response, partial, first, last)

    def _receive(self, response: httpx.Response, partial: Partial, begin: int, end: int | None) -> int:
        offset, limit = begin, self.config.max_part_bytes if end is None else end
        for block in self.client.body(response):
            if self._stopped:
                raise StartOver("another range of the part failed")
            if offset + len(block) > limit:
                raise self._too_large(offset + len(block)) if end is None else StartOver("more bytes than announced")
            partial.write(offset, block)
            offset += len(block)
            self.progress(len(block))
        if end is not None and offset < end:
            raise Unsteady("FETCH_BROKEN", f"{end - offset:,} bytes short")
        return offset

    def _require_no_page(self, response: httpx.Response) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            what = "a web page in place of a part"
            raise DataError("FETCH_PAGE", what, found=kind, where=shown(response.url), action="open it in a browser")

    def _drop(self) -> None:
        if self._partial:
            self._partial.abandon()
            self._partial = None
        discard(self.path)

    def _too_large(self, size: int) -> DataError:
        limit, action = f"at most {self.config.max_part_bytes:,} bytes", "raise http.max_part_bytes if it is genuine"
        return DataError("FETCH_TOO_LARGE", "a part is too large", expected=limit, found=f"{size:,}", action=action)

    def _where(self) -> str:
        return shown(httpx.URL(self.url))


def strong_validator(headers: httpx.Headers) -> str | None:
    """What If-Range may carry: a strong ETag, else a Last-Modified well before Date, else None."""
    if etag := headers.get("etag"):
        return None if etag.startswith("W/") else etag
    try:
        modified, now = (parsedate_to_datetime(headers[name]) for name in ("last-modified", "date"))
        return headers["last-modified"] if now - modified >= _SURE_AFTER else None
    except (KeyError, ValueError, TypeError):
        return None


def _content_range(response: httpx.Response) -> tuple[int, int, int]:
    """``(begin, end, size)`` with the end not included, of a 206. Raises StartOver when it does not say."""
    found = _CONTENT_RANGE.match(response.headers.get("content-range", ""))
    if response.status_code != 206 or not found:
        raise StartOver("the server does not say which range it sends")
    begin, last, size = map(int, found.groups())
    return begin, last + 1, size


def _join(futures: list[Future[None]]) -> None:
    for future in wait(futures, return_when=FIRST_EXCEPTION).done:
        future.result()
