"""What a job of the ``pipes`` launcher says, in the event log of the run that waits for it.

Dagster's own ``PipesSubprocessClient`` has its process for a child: it asks it to stop and never kills it, and a later
run cannot find it. Here the session is only the line to a job that is started, found and ended as all jobs are.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any

import dagster as dg
from dagster._core.pipes.context import PipesMessageHandler
from dagster_pipes import PipesDefaultMessageWriter

from training.launch.handle import JOB

MESSAGES = "pipes.jsonl"
POLL_S = 0.1


class JobMessages(dg.PipesMessageReader):
    """A job's messages from its beginning, for every run that joins it: the file is neither emptied nor removed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._over = Event()

    @property
    def expected_writer_count(self) -> int:
        """Rank 0; the others say nothing."""
        return 1

    @contextlib.contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[dict[str, Any]]:
        """Read from when the job is there, see ``on_launched``, until the session ends and all was read."""
        self._thread = Thread(target=self._read, args=(handler,), daemon=True)
        try:
            yield {PipesDefaultMessageWriter.FILE_PATH_KEY: str(self.path)}
        finally:
            self._over.set()
            if self._thread.ident:
                self._thread.join()

    def on_launched(self, launched_payload: Mapping[str, Any]) -> None:
        """The job was started or joined: its file is no earlier job's."""
        self._thread.start()

    def no_messages_debug_text(self) -> str:
        """Where they should be."""
        return f"Attempted to read messages from {self.path}."

    def _read(self, handler: PipesMessageHandler) -> None:
        self.path.touch()
        line = ""
        with open(self.path) as file:
            while True:
                over = self._over.wait(POLL_S)  # asked before the read: what came last is still read
                while more := file.readline():
                    line += more
                    if line.endswith("\n"):
                        handler.handle_message(json.loads(line))
                        line = ""
                if over:
                    return


@contextlib.contextmanager
def listening(run: Path) -> Iterator[tuple[Mapping[str, str], Callable[[], None]]]:
    """Show what the job in ``run`` says while this lasts: the variables to start it with, and what to call then."""
    with dg.open_pipes_session(
        context=dg.AssetExecutionContext.get(),
        context_injector=dg.PipesEnvContextInjector(),
        message_reader=JobMessages(run / JOB / MESSAGES),
    ) as session:
        yield session.get_bootstrap_env_vars(), lambda: session.report_launched({"extras": {}})
