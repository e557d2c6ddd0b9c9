"""The loopback server as a fixture."""

import pytest

from tests.loopback import serving


@pytest.fixture
def server():
    with serving() as running:
        yield running
