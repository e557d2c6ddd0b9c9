"""One HTTP client: every hop checked, identity coding only, bounded retries, waits and slowness; no URL secrets shown.

Answers are streamed raw. Whether their bytes are the right ones is for the caller to find out.
"""

from __future__ import annotations

import contextlib
import email.utils
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

import httpx

from assets_data.lineage import ConfigError, DataError
from assets_data.sources.http.config import HttpConfig
from assets_data.sources.http.network import Deadline, GuardedTransport

T = TypeVar("T")
MAX_HOPS = 5
BUSY = {408, 425, 429, 500, 502, 503, 504}
UNSTEADY = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole URLs at INFO, a redirect's signature included
logging.getLogger("httpcore").setLevel(logging.WARNING)


class Unsteady(Exception):
    """An answer that is worth another try. ``code`` is what the refusal is called when the tries are used up."""

    def __init__(self, code: str, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.code, self.retry_after_s = code, retry_after_s


class Client:
    """Use from any number of threads; close when done."""

    def __init__(self, config: HttpConfig) -> None:
        self.config = config
        urls = [httpx.URL(url) for url in (config.index_url, config.base, config.sha256_url) if url]
        self._netlocs = {url.netloc.decode() for url in urls} | set(config.allowed_hosts)
        self._origins = {_origin(url) for url in urls}
        self._authorization = _secret(config.auth_env)
        self._deadline = Deadline()
        self._client = httpx.Client(
            transport=GuardedTransport(config.connections, config.private_hosts, self._deadline),
            timeout=httpx.Timeout(config.timeout_s, pool=None),
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
        )

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    @contextlib.contextmanager
    def opened(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The answer's head after redirects; read its bytes with :meth:`body`.

        Raises Unsteady or an httpx error worth a retry, DataError FETCH_STATUS, FETCH_ENCODED, FETCH_HOST,
        FETCH_SCHEME, FETCH_REDIRECTS or FETCH_PRIVATE otherwise.
        """
        here = httpx.URL(url)
        trusted = _origin(here) in self._origins
        for _ in range(MAX_HOPS + 1):
            self._require_allowed(here)
            trusted = trusted and _origin(here) in self._origins  # once left, credentials are never sent again
            response = self._send(here, headers, trusted)
            try:
                if (ahead := _target(response)) is None:
                    yield _usable(response)
                    return
            finally:
                response.close()
            if here.scheme == "https" and ahead.scheme == "http":
                raise DataError("FETCH_SCHEME", "a redirect leads from https to http", where=shown(here))
            here = ahead
        raise DataError("FETCH_REDIRECTS", f"more than {MAX_HOPS} redirects", where=shown(httpx.URL(url)))

    def body(self, response: httpx.Response) -> Iterator[bytes]:
        """The answer's bytes as they are on the wire. Raises Unsteady when they come too slowly."""
        started, received = time.monotonic(), 0
        for block in response.iter_raw():
            received += len(block)
            yield block
            late = time.monotonic() - started - self.config.timeout_s
            if received < late * self.config.min_bytes_per_s:
                raise Unsteady("FETCH_DEADLINE", f"fewer than {self.config.min_bytes_per_s:,} bytes per second")

    def read(self, url: str, headers: dict[str, str], limit: int) -> tuple[httpx.Response, bytes]:
        """A small answer whole (of at most ``limit`` bytes), retried. Raises DataError."""

        def attempt() -> tuple[httpx.Response, bytes]:
            kept = bytearray()
            with self.opened(url, headers) as response:
                for block in self.body(response):
                    kept += block
                    if len(kept) > limit:
                        raise DataError("FETCH_TOO_LARGE", "too many bytes", expected=limit, where=shown(response.url))
                if response.status_code == 200 and not ends_visibly(response):
                    raise Unsteady("FETCH_NO_LENGTH", "the answer does not say how long it is")
            return response, bytes(kept)

        return self.persist(attempt, url)

    def persist(self, attempt: Callable[[], T], url: str, tries: int = 0) -> T:
        """``attempt`` up to ``tries`` times (0: as configured) with jittered waits, ``max_wait_s`` of them at most.

        Raises DataError FETCH_DEADLINE, FETCH_BUSY, FETCH_BROKEN or FETCH_NO_LENGTH, after the last failure's kind.
        """
        waited, tries = 0.0, tries or self.config.tries
        for number in range(tries):
            try:
                return attempt()
            except UNSTEADY as error:
                late = isinstance(error, httpx.TimeoutException)
                failure = Unsteady("FETCH_DEADLINE" if late else "FETCH_BROKEN", f"{type(error).__name__}: {error}")
            except Unsteady as error:
                failure = error
            wait = max(failure.retry_after_s, random.uniform(0, self.config.wait_s * 2**number))
            if number + 1 == tries or waited + wait > self.config.max_wait_s:
                break
            time.sleep(wait)
            waited += wait
        asked = f"; it asks for {failure.retry_after_s:.0f} s of waiting" if failure.retry_after_s else ""
        what = f"given up after {number + 1} tries: {failure}{asked}"
        raise DataError(
            failure.code, what, where=shown(httpx.URL(url)), action="run again: what came is kept"
        ) from None

    def _send(self, url: httpx.URL, headers: dict[str, str], trusted: bool) -> httpx.Response:
        if trusted and self._authorization:
            headers = {**headers, "Authorization": self._authorization}
        request = self._client.build_request("GET", url, headers=headers)
        self._client.cookies.clear()
        self._deadline.moment = time.monotonic() + self.config.timeout_s
        try:
            return self._client.send(request, stream=True, follow_redirects=False)
        finally:
            self._deadline.moment = None

    def _require_allowed(self, url: httpx.URL) -> None:
        if url.scheme not in ("http", "https"):
            raise DataError("FETCH_SCHEME", "only http and https are fetched", found=url.scheme or "no scheme")
        if (netloc := url.netloc.decode()) not in self._netlocs:
            action = "add it to http.allowed_hosts if you trust it"
            expected = ", ".join(sorted(self._netlocs))
            raise DataError("FETCH_HOST", "a host nobody named", expected=expected, found=netloc, action=action)


def shown(url: httpx.URL) -> str:
    """The URL without user, password, query and fragment, for messages."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path}" + ("?..." if url.query else "")


def ends_visibly(response: httpx.Response) -> bool:
    """Whether a cut answer could be told from a whole one: it has a length, or chunks with an end."""
    return "content-length" in response.headers or "transfer-encoding" in response.headers


def _usable(response: httpx.Response) -> httpx.Response:
    status, where = response.status_code, shown(response.url)
    if status in BUSY:
        raise Unsteady("FETCH_BUSY", f"status {status}", _retry_after(response.headers.get("retry-after", "")))
    if status not in (200, 206, 304, 416):
        raise DataError("FETCH_STATUS", "the server refuses", expected=200, found=status, where=where)
    if (coding := response.headers.get("content-encoding", "identity")) != "identity":
        what = "the server encodes what was asked for as it is"
        raise DataError("FETCH_ENCODED", what, expected="identity", found=coding[:40], where=where)
    return response


def _target(response: httpx.Response) -> httpx.URL | None:
    if response.status_code not in (301, 302, 303, 307, 308):
        return None
    try:
        return response.url.join(response.headers["location"])
    except (KeyError, httpx.InvalidURL):
        raise DataError("FETCH_REDIRECTS", "a redirect leads nowhere", where=shown(response.url)) from None


def _retry_after(value: str) -> float:
    try:
        return max(0.0, float(value) if value.isdigit() else _seconds_until(email.utils.parsedate_to_datetime(value)))
    except (ValueError, OverflowError):
        return 0.0


def _seconds_until(moment: datetime) -> float:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()


def _origin(url: httpx.URL) -> tuple[str, str]:
    return url.scheme, url.netloc.decode()


def _secret(variable: str) -> str:
    if not variable:
        return ""
    value = os.environ.get(variable, "").strip()
    if not (value and value.isascii() and value.isprintable()):
        what = "http.auth_env names an environment variable that is not set, or not to a header's value"
        raise ConfigError("FETCH_AUTH", what, found=variable)
    return value
