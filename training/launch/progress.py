"""Log lines of a job to the Dagster run that waits for it, by Dagster Pipes. They are shown and decide nothing."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster_pipes import PipesContext

PIPES = "DAGSTER_PIPES_MESSAGES"
"""The variable by which Pipes says where its messages go; without it nobody listens."""


class Told(logging.Handler):
    """Passes every record on as a message."""

    def __init__(self, pipes: PipesContext) -> None:
        super().__init__()
        self.pipes = pipes

    def emit(self, record: logging.LogRecord) -> None:
        """As Dagster's own levels are named."""
        self.pipes.log.log(record.levelno, record.getMessage())


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell the run that started this job, if it listens. Whoever fails says no goodbye: another attempt may follow."""
    if PIPES not in os.environ:
        yield
        return
    from dagster_pipes import open_dagster_pipes

    pipes = open_dagster_pipes()
    handler = Told(pipes)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    pipes.close()
