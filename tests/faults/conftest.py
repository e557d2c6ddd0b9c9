"""The loopback server, and one plain part on it, as fixtures."""

import pytest

from tests.assets_data.sources.http.corpus import put_index
from tests.faults.one_part import DATA, PART
from tests.loopback import serving


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def part(server):
    """The server, with one plain part."""
    server.files[PART] = DATA
    put_index(server, ["a.jsonl"])
    return server
