"""Where a connection may go and how long an answer's head may take: httpx's transport over guarded sockets.

The address that was checked is the address that is connected to, so a name that resolves differently a moment later
leads nowhere. Knows nothing of requests, redirects or retries.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterable
from typing import Any

import httpcore
import httpx

from assets_data.lineage import DataError


class Deadline(threading.local):
    """The moment (``time.monotonic``) by which this thread's reads must be done, or None."""

    moment: float | None = None

    def within(self, timeout: float | None) -> float | None:
        """``timeout``, shortened to what is left. Raises httpcore.ReadTimeout when nothing is."""
        if self.moment is None:
            return timeout
        left = self.moment - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer's head came too slowly")
        return left if timeout is None else min(timeout, left)


class GuardedTransport(httpx.HTTPTransport):
    """HTTP/1.1 through a pool whose every connection is made by a :class:`_Guard`. Reads no proxy settings."""

    def __init__(self, connections: int, private_hosts: Collection[str], deadline: Deadline) -> None:
        super().__init__(verify=_trust_store(), trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_trust_store(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5.0,
            network_backend=_Guard(private_hosts, deadline),
        )


class _Guard(httpcore.NetworkBackend):
    def __init__(self, private_hosts: Collection[str], deadline: Deadline) -> None:
        self._private_hosts, self._deadline, self._inner = private_hosts, deadline, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in self._addresses(host, port):
            try:
                stream = self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name does not resolve: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        private = [address for address in addresses if not is_public(address)]
        if private and host not in self._private_hosts:
            what = "a host is at a private, loopback or link-local address"
            action = "add it to http.private_hosts if that is meant"
            raise DataError("FETCH_PRIVATE", what, found=f"{host} ({private[0]})", action=action)
        return addresses


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(*arguments, **options), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@functools.cache
def _trust_store() -> ssl.SSLContext:
    """The certificate authorities that httpx brings; reading them takes longer than a small fetch."""
    return httpx.create_ssl_context(trust_env=False)


def is_public(address: str) -> bool:
    """Whether an address is one of the internet: not loopback, private, link-local, reserved or multicast.

    An IPv6 address that stands for an IPv4 one, or leads through one, is public only if that one is too.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast
    carried = _carried(ip)
    if not all(is_public(str(v4)) for v4 in carried):
        return False
    if carried and any(ip in network for network in _TRANSLATED):
        return True
    return ip.is_global and not ip.is_multicast and not ip.is_site_local


def _carried(ip: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses inside an IPv6 one: mapped, compatible and translated, NAT64, 6to4, Teredo, ISATAP."""
    last = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if any(ip in network for network in _IN_LAST_BITS) or (int(ip) >> 32) & 0xFDFFFFFF == _ISATAP:
        return [last]
    teredo = ip.teredo or ()
    return [v4 for v4 in (ip.sixtofour, *teredo) if v4 is not None]


_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))
"""Mapped (RFC 4291) and NAT64 (RFC 6052): what they reach is the IPv4 address in them and nothing else."""
_IN_LAST_BITS = (*_TRANSLATED, *map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48")))
"""And IPv4-compatible (RFC 4291), IPv4-translated (RFC 2765) and the NAT64 of a local network (RFC 8215)."""
_ISATAP = 0x00005EFE
"""The interface identifier of ISATAP (RFC 5214), whose universal bit may be set or not."""
