"""S17: nothing of this project talks to anybody who was not named: not the tests, the default chain, or Dagster."""

import socket
import subprocess
import sys

import pytest
import yaml

from assets_data.lineage.receipts.code import ROOT

WATCH = """
import sys
seen = []
sys.addaudithook(lambda name, _: seen.append(name) if name in ("socket.connect", "socket.getaddrinfo") else None)
"""


def test_s17_a_test_that_reaches_past_loopback_fails_by_name():
    with socket.socket() as outward, pytest.raises(AssertionError, match="egress"):
        outward.connect(("192.0.2.1", 80))


def test_s17_the_embedded_source_connects_to_nothing_and_loads_no_http_client(tmp_path):
    code = f"""{WATCH}
from pathlib import Path
from assets_data.sources.config import smoke
from assets_data.lineage import Store
from assets_data.domains.text.raw_slice import make_raw_slice
make_raw_slice(Store(Path({str(tmp_path)!r})), "stdlib-0", smoke())
import pipeline_defs.definitions
print(seen, "httpx" in sys.modules, "httpcore" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[-2] == "[] False False"


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("dagster*.yaml")))
def test_s17_telemetry_is_off(name):
    assert yaml.safe_load((ROOT / name).read_text())["telemetry"] == {"enabled": False}
