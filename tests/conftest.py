"""Fixtures every room's tests share: a store in a fresh directory, and no way out but loopback."""

import signal
import socket

import pytest
from hypothesis import settings

from assets_data.lineage import Store

settings.register_profile("stemma", deadline=None)  # a busy machine is no counterexample
settings.load_profile("stemma")


def pytest_configure():
    """A shell's background job ignores SIGINT, and so would every server that a test starts and stops."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """S17: a test that reaches past loopback fails by name."""
    connect = socket.socket.connect

    def only_loopback(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"network egress to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)


@pytest.fixture(scope="session")
def finished_chain(tmp_path_factory):
    """The root of one finished smoke chain. Read-only: a test that breaks something copies it first."""
    from tests.chain import run_chain

    root = tmp_path_factory.mktemp("chain")
    run_chain(root)
    return root
