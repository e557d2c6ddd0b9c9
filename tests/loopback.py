"""A real HTTP server on 127.0.0.1 with fault switches; it counts the body bytes it put on the wire, per path.

A fault is a function of the handler and the file's bytes that answers in place of the honest one. ``faults[path]`` is
a queue: each request to the path takes the first, and when none is left the answer is honest.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 64 << 10
Fault = Callable[["Handler", bytes], None]


class Loopback(ThreadingHTTPServer):
    """``files`` maps paths (``/a/b.jsonl``) to bytes; ``requests`` keeps path and headers of everything asked."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str | None] = {}  # in place of the one that the bytes give; None: no ETag
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent: Counter[str] = Counter()
        self.released = threading.Event()  # what stalls ends with the server
        self.lock = threading.Lock()

    def url(self, path: str = "") -> str:
        """The address of a path, by number."""
        return f"http://127.0.0.1:{self.server_port}{path}"

    def asked(self, path: str) -> list[dict[str, str]]:
        """Headers (names in lower case) of the requests for a path."""
        return [headers for asked, headers in self.requests if asked == path]

    def handle_error(self, request, client_address) -> None:
        """A client that goes away is what half of the tests are about."""


class Handler(BaseHTTPRequestHandler):
    """Honest answers: strong ETag, Range with If-Range, If-None-Match, 404."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Loopback

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.server.lock:
            self.server.requests.append((path, {name.lower(): value for name, value in self.headers.items()}))
            fault = self.server.faults[path].pop(0) if self.server.faults[path] else None
        data = self.server.files.get(path)
        if fault:
            fault(self, data or b"")
        elif data is None:
            self.answer(404, b"nothing there")
        else:
            self.honest(data)

    def honest(self, data: bytes) -> None:
        etag = self.etag(data)
        headers = {"ETag": etag} if etag else {}
        if etag and self.headers["If-None-Match"] == etag:
            self.answer(304, b"", headers)
        elif (span := self.span(len(data))) and self.headers.get("If-Range", etag) == etag:
            begin, end = span
            self.answer(206, data[begin:end], {**headers, "Content-Range": f"bytes {begin}-{end - 1}/{len(data)}"})
        else:
            self.answer(200, data, headers)

    def etag(self, data: bytes) -> str | None:
        return self.server.etags.get(self.path, f'"{hashlib.sha256(data).hexdigest()[:16]}"')

    def span(self, size: int) -> tuple[int, int] | None:
        """The range that was asked for, or None: no range, or none of this file."""
        asked = self.headers.get("Range", "").removeprefix("bytes=").split("-")
        if len(asked) != 2 or int(asked[0]) >= size:
            return None
        return int(asked[0]), min(int(asked[1] or size - 1) + 1, size)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, announced: int = -1) -> None:
        """Head and body; ``announced`` is a Content-Length other than the body's."""
        self.head(status, {"Content-Length": str(len(body) if announced < 0 else announced), **(headers or {})})
        self.send(body)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, body: bytes) -> None:
        view = memoryview(body)
        for at in range(0, len(view), BLOCK):
            with self.server.lock:  # counted before the client can have it, and so go on
                self.server.sent[self.path.partition("?")[0]] += len(view[at : at + BLOCK])
            self.wfile.write(view[at : at + BLOCK])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def cut(after: int) -> Fault:
    """The honest head, then only so many bytes, then the end of the connection."""

    def answer(handler: Handler, data: bytes) -> None:
        begin, end = handler.span(len(data)) or (0, len(data))
        headers = {"ETag": handler.etag(data) or '"x"'}
        if handler.headers["Range"]:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
        body = data[begin : min(begin + after, end)]
        handler.answer(206 if handler.headers["Range"] else 200, body, headers, announced=end - begin)
        handler.close_connection = True

    return answer


def unsized(after: int) -> Fault:
    """No Content-Length, no chunks: the end of the connection is the end of the body."""

    def answer(handler: Handler, data: bytes) -> None:
        handler.head(200, {"Connection": "close"})
        handler.send(data[:after])
        handler.close_connection = True

    return answer


def encoded(coding: str, body: bytes) -> Fault:
    """A content coding nobody asked for."""
    return lambda handler, data: handler.answer(200, body, {"Content-Encoding": coding})


def whole(handler: Handler, data: bytes) -> None:
    """200 with everything, whatever range was asked for."""
    handler.answer(200, data, {"ETag": handler.etag(data) or '"x"'})


def ranged(shift: int = 0, shorter: int = 0) -> Fault:
    """206 for another range than the one asked for."""

    def answer(handler: Handler, data: bytes) -> None:
        begin, end = handler.span(len(data)) or (0, len(data))
        begin, end = begin + shift, end - shorter
        headers = {"ETag": handler.etag(data) or '"x"', "Content-Range": f"bytes {begin}-{end - 1}/{len(data)}"}
        handler.answer(206, data[begin:end], headers)

    return answer


def status(code: int, **headers: str) -> Fault:
    """Only a status; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, data: handler.answer(code, b"no", named)


def redirect(location: str) -> Fault:
    """302 to somewhere."""
    return status(302, Location=location)


def stall(after: int) -> Fault:
    """So many bytes of the body, then silence until the server closes."""

    def answer(handler: Handler, data: bytes) -> None:
        begin, end = handler.span(len(data)) or (0, len(data))
        headers = {"ETag": handler.etag(data) or '"x"', "Content-Range": f"bytes {begin}-{end - 1}/{len(data)}"}
        handler.head(206, {"Content-Length": str(end - begin), **headers})
        handler.send(data[begin : begin + after])
        handler.server.released.wait(20)
        handler.close_connection = True

    return answer


def trickle(handler: Handler, data: bytes) -> None:
    """One byte of the body at a time, without end in sight."""
    handler.head(200, {"Content-Length": str(len(data))})
    _drip(handler, data)


def trickle_head(handler: Handler, data: bytes) -> None:
    """A head that never ends."""
    _drip(handler, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 60_000)


def body(content: bytes, kind: str = "application/octet-stream") -> Fault:
    """Other bytes, honestly framed."""
    return lambda handler, data: handler.answer(200, content, {"Content-Type": kind})


def _drip(handler: Handler, data: bytes) -> None:
    handler.close_connection = True
    for at in range(len(data)):
        handler.wfile.write(data[at : at + 1])
        if handler.server.released.wait(0.02):
            return


@contextlib.contextmanager
def serving() -> Iterator[Loopback]:
    """A server in a thread of its own, gone with the block."""
    server = Loopback()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
