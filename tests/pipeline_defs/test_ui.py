"""`stemma ui` in a real headless Chromium: the graph with its groups, the checks, the curves."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from assets_data.lineage.code import ROOT
from tests.chain import environment

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
TIMEOUT_MS = 60_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no `chromium` on PATH: apt-get install chromium")


@pytest.fixture(scope="module")
def server(finished_chain):
    """A UI over a finished smoke chain, on a free loopback port; ended with SIGTERM to the process we started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipeline_defs.cli", "ui", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(finished_chain), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        for line in process.stdout:
            if "Serving dagster-webserver on" in line:
                break
        else:
            pytest.fail("the web server never said that it serves")
        assert f"http://127.0.0.1:{port}" in line  # S12: loopback only
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def page(server):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(TIMEOUT_MS)
        yield page
        browser.close()


def keep(page, name):
    """A screenshot into the folder STEMMA_SCREENSHOTS names; `make screenshots` refreshes docs/ with it."""
    if folder := os.environ.get("STEMMA_SCREENSHOTS"):
        page.screenshot(path=Path(ROOT / folder / f"{name}.png"))


def test_the_graph_shows_every_group_and_asset(page, server):
    page.goto(f"{server}/asset-groups?expanded=text,walk_lm")
    page.get_by_text("raw_slice", exact=True).first.wait_for()
    for name in ("text", "walk_lm", "tokenizer", "triples", "walk_corpus", "dataset_manifest", "checkpoint", "gate_report"):
        page.get_by_text(name, exact=True).first.wait_for()
    keep(page, "asset_graph")


def test_the_gate_shows_as_a_check_on_its_report(page, server):
    page.goto(f"{server}/assets/walk_lm/gate_report?view=checks")
    page.get_by_text("gate", exact=True).first.wait_for()
    page.get_by_text("Passed").first.wait_for()
    keep(page, "gate_check")


def test_the_checkpoint_shows_its_curves_as_a_picture(page, server):
    page.goto(f"{server}/assets/walk_lm/checkpoint?view=overview")
    page.get_by_text("Show markdown").first.click()
    image = page.locator('img[src^="data:image/png;base64,"]')
    image.first.wait_for()
    assert image.first.evaluate("image => image.naturalWidth") > 300
    keep(page, "checkpoint_curves")
