"""A process that has imported the heavy libraries, and forks the process of every sealed build.

Importing torch takes about two processor seconds, more than all else that sealing adds to a stage. The server is begun
from the allowlist of variables; it imports the installed libraries that a request names and nothing of the stage, and
each process that it forks shuts itself in before it runs a line of the stage. It ends with the process it serves.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from assets_data.lineage import IntegrityError

GRACE = 60.0  # seconds that a stopped build has to save what it can
_CODE = "import sys; sys.path[:] = {path!r}; from pipeline_defs.sealed.forkserver import serve; serve({line})"


@functools.lru_cache(maxsize=2)
def server(environment: tuple[tuple[str, str], ...], path: tuple[str, ...], process: int) -> ForkServer:
    """The one of this ``process`` (its id: a forked one needs its own) for an environment and a module path."""
    return ForkServer(dict(environment), list(path))


class ForkServer:
    """Forks one process at a time; begun at the first request, and again where it has died."""

    def __init__(self, environment: dict[str, str], path: list[str]) -> None:
        self._environment, self._path = environment | {"HOME": os.devnull, "TMPDIR": os.devnull}, path
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def run(self, request: Path, libraries: Sequence[str]) -> int:
        """Fork where ``libraries`` are imported, have ``child.main`` called with ``request``, and wait for its status,
        negative after a signal.

        Raises IntegrityError SEAL_ENDED where the server died. Whatever is raised here meanwhile stops the process.
        """
        with self._turn:
            line = self._line = self._line or self._begin()
            child = 0
            try:
                _ask(line, [str(request), *libraries])
                child = _told(line)
                return _told(line)
            except BaseException:
                self._line = None
                _stop(line, child)
                raise

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            code = _CODE.format(path=self._path, line=theirs.fileno())
            command = [sys.executable, "-B", "-s", "-c", code]
            self._process = subprocess.Popen(
                command, env=self._environment, cwd="/", stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        return ours


def serve(descriptor: int) -> None:
    """In the server: import what each request names, and fork for it, until the other side is gone."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # meant for the build; this process ends with the one it serves
    line, own = socket.socket(fileno=descriptor), os.getpid()
    while True:
        asked, output, _, _ = socket.recv_fds(line, 65536, 2)
        if not asked:
            return
        request, *libraries = json.loads(asked)
        for name in libraries:
            importlib.import_module(name)
        if not (child := os.fork()):
            line.close()
            _become(request, output, own)
        for file in output:
            os.close(file)
        line.send(str(child).encode())
        line.send(str(_ended(line, child)).encode())


def _become(request: str, output: Sequence[int], parent: int) -> NoReturn:
    """The forked process: the caller's output and signals as a new process has them, then the build."""
    from pipeline_defs.sealed.child import main

    for file, place in zip(output, (1, 2), strict=True):
        os.dup2(file, place)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        main(request, parent)
    finally:
        os._exit(1)  # main ends the process itself; past it something was wrong


def _ended(line: socket.socket, child: int) -> int:
    """The status of ``child``, which is killed where the other side goes before it has ended."""
    end = os.pidfd_open(child)
    ready, _, _ = select.select([end, line], [], [])
    os.close(end)
    if line in ready:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _ask(line: socket.socket, words: Sequence[str]) -> None:
    """What is wanted, and this process's output for the build to write to."""
    try:
        socket.send_fds(line, [json.dumps(words).encode()], [1, 2])
    except ConnectionError as error:
        raise _gone() from error


def _told(line: socket.socket) -> int:
    try:
        message = line.recv(64)
    except ConnectionError as error:
        raise _gone() from error
    if not message:
        raise _gone()
    return int(message)


def _gone() -> IntegrityError:
    return IntegrityError("SEAL_ENDED", "the process that forks sealed ones ended", action="run it again")


def _stop(line: socket.socket, child: int) -> None:
    """Ask the build to end, give it time to save what it can, and let the server kill what is left."""
    with line:
        if child:
            with contextlib.suppress(ProcessLookupError, TimeoutError, IntegrityError, OSError):
                os.kill(child, signal.SIGTERM)
                line.settimeout(GRACE)
                _told(line)
