"""Bytes, rate and time left of a fetch: a bar on a terminal, log lines off one."""

from __future__ import annotations

import logging
import sys
import threading
import time

from tqdm import tqdm

_LOG_EVERY_S = 10.0
_log = logging.getLogger("stemma.fetch")


class Progress:
    """Counts from several threads; says nothing until something was fetched or ``expect`` was called."""

    def __init__(self) -> None:
        self.wire_bytes, self.started = 0, time.monotonic()
        self._parts = self._done = 0
        self._logged, self._lock = self.started, threading.Lock()
        self._bar = tqdm(unit="B", unit_scale=True, unit_divisor=1024, desc="fetch", disable=None, leave=False)

    def expect(self, parts: int) -> None:
        """So many parts more are wanted."""
        with self._lock:
            self._parts += parts

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.started

    def add(self, wire_bytes: int) -> None:
        """So many bytes came."""
        with self._lock:
            self.wire_bytes += wire_bytes
            self._bar.update(wire_bytes)
            self._log(time.monotonic())

    def done(self, part_bytes: int) -> None:
        """A part of this size is there, fetched or kept: the rest is taken to be as large on average."""
        with self._lock:
            self._done += 1
            if self._parts:
                self._bar.total = max(self._bar.n, self._bar.n + part_bytes * (self._parts - self._done))
            self._bar.set_postfix_str(f"{self._done}/{self._parts} parts")

    def close(self) -> None:
        """The last word."""
        self._bar.close()
        if self.wire_bytes:
            _log.info(self._text())

    def _log(self, now: float) -> None:
        if now - self._logged >= _LOG_EVERY_S and not sys.stderr.isatty():
            self._logged = now
            _log.info(self._text())

    def _text(self) -> str:
        seconds = max(self.seconds, 1e-3)
        rate = self.wire_bytes / seconds
        left = (self._parts - self._done) * seconds / self._done if self._done else 0.0
        more = f", about {left:.0f} s left" if left > 0 else ""
        parts = max(self._parts, self._done)
        return f"{self._done} of {parts} parts, {self.wire_bytes / 1e6:,.1f} MB at {rate / 1e6:,.1f} MB/s{more}"
