"""How training ends early: the first SIGTERM or SIGINT asks at the step edge, the second takes effect at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

STALLED = 75
"""Exit status of a process whose update stalled: EX_TEMPFAIL of sysexits.h, trying again may help."""


@dataclass(slots=True)
class StopRequest:
    """``signal`` is the name of the signal that asked to stop, or None."""

    signal: str | None = None


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch the first stop signal; outside the main thread, where Python allows no handlers, never one."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: object) -> None:
        request.signal = signal.Signals(number).name
        for each, handler in previous.items():
            signal.signal(each, handler)

    try:
        for number in previous:
            signal.signal(number, note)
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
