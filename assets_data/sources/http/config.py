"""Settings of the HTTP source: where the parts are, how they fall into slices, whom to trust, how long to wait."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from assets_data.lineage import option

_SIZE = re.compile(r"([0-9]+)([kmgt]?)\Z")
LARGEST_WINDOW = 1 << 31  # bytes; what zstd can make
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """Parts named by an index, one path per line. A slice is some whole parts, some lines, or lines up to a size."""

    index_url: str = option("", "list of part paths, plain or .gz; empty lines and lines that begin with # are ignored")
    base_url: str = option("", "what part paths are relative to; empty: the index's folder")
    sha256_url: str = option("", "digests by the publisher, as sha256sum writes them; then every part must have one")
    pattern: str = option("", "only parts whose path holds this text")
    name: str = option("http", "what its slices are called: http-0, http-1 and so on")
    count: int = option(0, "lines (samples) of a slice; 0: parts_per_slice whole parts (one, if that is 0)")
    size: str = option("", "unpacked bytes of a slice instead, such as 512m (k, m, g, t: powers of 1024)")
    start: int = option(0, "first line that may be taken, from 1 over all parts in index order; needs count or size")
    allowed_hosts: tuple[str, ...] = option((), "hosts (host or host:port) a redirect may lead to beside those above")
    private_hosts: tuple[str, ...] = option((), "hosts that may be at loopback, private or link-local addresses")
    auth_env: str = option("", "environment variable with the Authorization header; sent to the hosts above only")
    connections: int = option(4, "requests at a time")
    range_bytes: int = option(32 << 20, "bytes asked for at a time; a larger part comes in parallel ranges")
    tries: int = option(3, "tries of one request before it is given up")
    wait_s: float = option(1.0, "longest first wait between tries, doubled each time and drawn at random below that")
    max_wait_s: float = option(120.0, "longest total wait for one request, whatever Retry-After says")
    timeout_s: float = option(30.0, "longest wait for a connection, for an answer's head, and between two of its bytes")
    min_bytes_per_s: int = option(4096, "slowest answer, on average after timeout_s")
    max_part_bytes: int = option(64 << 30, "largest part as it is on the wire")
    max_unpacked_bytes: int = option(256 << 30, "most bytes one part may unfold to")
    max_unpack_ratio: int = option(200, "most unpacked bytes per packed byte (parts under 1 MiB unpacked are exempt)")
    max_window_bytes: int = option(
        128 << 20, "largest window of a zstd part (--long=27 needs 134217728): memory to read it"
    )
    licence: str = option("unstated", "licence of the parts, as an SPDX expression if there is one")

    @property
    def base(self) -> str:
        """The URL that part paths are appended to, with its slash."""
        return (self.base_url or self.index_url.rpartition("/")[0]).rstrip("/") + "/"

    @property
    def target_bytes(self) -> int:
        """``size`` in bytes; 0 where slices are not made by size."""
        number, unit = _SIZE.match(self.size or "0").groups()  # type: ignore[union-attr]
        return int(number) * _UNITS[unit]


def http_problems(http: HttpConfig) -> list[str]:
    """Everything that makes these settings unusable, credentials in a URL included: those would reach receipts."""
    problems = [] if http.index_url else ["http.index_url is required by source = http_index"]
    problems += [
        p for name in ("index_url", "base_url", "sha256_url") for p in _url_problems(name, getattr(http, name))
    ]
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,40}", http.name):
        problems.append("http.name must be made of a-z, 0-9, dot, dash and underscore")
    if not _SIZE.match(http.size or "0") or (http.size and not http.target_bytes):
        problems.append("http.size must be a number with k, m, g or t, such as 512m")
    elif http.count and http.size:
        problems.append("http.count and http.size exclude each other")
    if http.start and not (http.count or http.size):
        problems.append("http.start needs http.count or http.size")
    least = {"count": 0, "start": 0, "connections": 1, "range_bytes": 1, "tries": 1, "wait_s": 0, "max_wait_s": 0}
    least |= {"min_bytes_per_s": 1, "max_part_bytes": 1, "max_unpacked_bytes": 1, "max_unpack_ratio": 1}
    problems += [f"http.{name} must be at least {low}" for name, low in least.items() if getattr(http, name) < low]
    if not 1 << 10 <= http.max_window_bytes <= LARGEST_WINDOW:
        problems.append(f"http.max_window_bytes must be from 1024 to {LARGEST_WINDOW} (zstd --long=31)")
    return problems + (["http.timeout_s must be above 0"] if http.timeout_s <= 0 else [])


def _url_problems(name: str, url: str) -> list[str]:
    if not url:
        return []
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [f"http.{name} must be an http or https URL"]
    if parts.username or parts.password or parts.query or parts.fragment:
        return [f"http.{name} must hold no user, password, query or fragment: put credentials into http.auth_env"]
    return []
