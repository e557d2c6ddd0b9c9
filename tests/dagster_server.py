"""`stemma ui` for tests: web server, daemon and code server on a free loopback port, stopped at the end."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from assets_data.lineage.receipts.code import ROOT
from tests.chain import environment


@contextlib.contextmanager
def ui_server(root: Path, **variables: str):
    """``stemma ui`` of this checkout over ``root``: see :func:`served`."""
    with served([sys.executable, "-m", "pipeline_defs.commands.cli"], ROOT, environment(root) | variables) as address:
        yield address


@contextlib.contextmanager
def served(stemma: list, folder: Path, variables: dict[str, str]):
    """The address once it serves; ended with SIGTERM to the process we started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*stemma, "ui", "--port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = []
    try:
        for line in process.stdout:
            seen.append(line)
            if "Serving dagster-webserver on" in line:
                break
        else:
            raise AssertionError("the web server never said that it serves:\n" + "".join(seen))
        assert f"http://127.0.0.1:{port}" in line  # S12: loopback only
        drain = threading.Thread(target=seen.extend, args=(process.stdout,), daemon=True)
        drain.start()  # a full pipe would stop the server
        await_listener(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def await_listener(port: int, seconds: float = 30.0) -> None:
    """Return once the port takes connections: the server says that it serves a moment before it does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def graphql(address: str, query: str, **variables):
    """The data of one GraphQL request, as the UI sends it. Fails the test on any error."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    assert not answer.get("errors"), answer["errors"]
    return answer["data"]
