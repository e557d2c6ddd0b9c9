"""How far a stage is: a bar on a terminal, a log line every ten seconds off one. Never part of what is made."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
LOG_EVERY_S = 10.0
_log = logging.getLogger("stemma.text")


def counted(items: Iterable[T], size: Callable[[T], int], total: int, what: str) -> Iterator[T]:
    """``items`` as they are. Each counts ``size(item)`` towards ``total`` once the next one is asked for."""
    done, logged = 0, time.monotonic()
    with tqdm(total=total, unit=" records", unit_scale=True, desc=what, disable=None, leave=False) as bar:
        for item in items:
            yield item
            done += size(item)
            bar.update(size(item))
            if (now := time.monotonic()) - logged >= LOG_EVERY_S and not sys.stderr.isatty():
                logged = now
                _log.info("%s: %s of %s records", what, f"{done:,}", f"{total:,}")
