"""`stemma ui` in a real headless Chromium: graph, checks, curves, launchpad, sensors, the log of a run."""

import contextlib
import http.client
import os
import re
import shutil

import dagster as dg
import pytest

from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.config import SourceConfig
from assets_data.sources.parts import assign_slices
from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.partitions import register_slices
from tests.dagster_server import graphql, ui_server

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 60_000
VIEWPORT = {"width": 1600, "height": 1000}
SECRET = b"what-nobody-may-read"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no `chromium` on PATH: apt-get install chromium")


@pytest.fixture(scope="module")
def root(finished_chain, tmp_path_factory):
    copied = tmp_path_factory.mktemp("ui") / "root"
    shutil.copytree(finished_chain, copied)
    return copied


@pytest.fixture(scope="module")
def server(root):
    with ui_server(root) as address:
        yield address


@pytest.fixture(scope="module")
def page(server):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=VIEWPORT)
        page.set_default_timeout(TIMEOUT_MS)
        yield page
        browser.close()


def keep(shown, name):
    """A screenshot into the folder STEMMA_SCREENSHOTS names; `make screenshots` refreshes docs/ with it."""
    if folder := os.environ.get("STEMMA_SCREENSHOTS"):
        shown.screenshot(path=ROOT / folder / f"{name}.png")


def test_the_graph_shows_every_group_and_asset(page, server):
    page.set_viewport_size({"width": 4800, "height": 2100})  # wide enough that the nodes show their checks
    page.goto(f"{server}/asset-groups?expanded=global@global:text,global@global:walk_lm,global@global:hrm_lm")
    drawn = page.locator("foreignObject")
    for name in ("text", "raw_slice", "tokenizer", "triples", "walk_corpus", "dataset_manifest"):
        drawn.get_by_text(name, exact=True).first.wait_for()
    for name in ("walk_lm", "preflight_report", "checkpoint", "gate_report"):
        drawn.get_by_text(name, exact=True).first.wait_for()
    drawn.get_by_text("4 partitions").nth(4).wait_for()  # of every sliced stage
    keep(page, "asset_graph")
    page.set_viewport_size(VIEWPORT)


def test_the_gate_shows_as_a_passed_check_on_its_report(page, server):
    page.goto(f"{server}/assets/walk_lm/gate_report?view=checks")
    page.get_by_text("gate", exact=True).first.wait_for()
    page.get_by_text("Passed").first.wait_for()
    keep(page, "gate_check")


@pytest.mark.parametrize("asset", ["checkpoint", "gate_report"])
def test_curves_show_as_pictures(page, server, asset):
    page.goto(f"{server}/assets/walk_lm/{asset}?view=overview")
    page.get_by_text("Show markdown").first.click()
    image = page.locator('img[src^="data:image/png;base64,"]').first
    image.wait_for()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    keep(image, f"{asset}_curves")


def test_every_domain_and_recipe_is_a_group_of_the_graph(page, server):
    page.goto(f"{server}/asset-groups")
    for name in (*catalogue().domains, *catalogue().recipes):
        page.locator("foreignObject").get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("fetching statuses").first.wait_for(state="hidden")
    keep(page, "asset_groups")


def test_the_launchpad_offers_a_preset_that_validates(page, server):
    page.goto(f"{server}/locations/stemma/jobs/retrain_walk_lm/playground")
    page.locator(".CodeMirror").get_by_text("walk_lm__preflight_report").first.wait_for()
    page.get_by_text("No errors").first.wait_for()
    keep(page, "launchpad")


def test_the_backfill_dialog_offers_two_thousand_slices_by_number_and_none_is_chosen(page, server, root):
    names = list(assign_slices("files", map(str, range(50_000)), SourceConfig(shards=2000)))
    with dg.DagsterInstance.from_config(str(root)) as instance:
        register_slices(instance, "episodes", reversed(names))
    page.goto(f"{server}/assets/episodes/raw_slice?view=overview")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog").first
    dialog.get_by_text("0 partitions", exact=True).wait_for()
    dialog.get_by_text("maximum of 100 partitions per run").wait_for()
    assert dialog.get_by_role("button", name="Launch backfill").is_disabled()
    dialog.get_by_text("Select a partition or create one").click()
    page.get_by_text("Select all (2000)").wait_for()
    page.get_by_placeholder("Filter partitions").fill("files-199")
    page.get_by_text("Select all (10)").click()
    dialog.get_by_text("10 partitions", exact=True).wait_for()
    shown = page.get_by_text(re.compile(r"^files-\d+$")).all_inner_texts()
    assert list(dict.fromkeys(shown)) == names[1990:]  # a name is drawn in two elements
    keep(page, "backfill_dialog")
    page.goto("about:blank")  # the picker and the dialog are open


def test_sensors_and_schedules_are_listed(page, server):
    page.goto(f"{server}/automation")
    for name in ("dead_runs", "retrain_on_new_manifest", "weekly_retrain_cell_mlm"):
        page.get_by_text(name, exact=True).first.wait_for()
    keep(page, "sensors")


def test_the_log_of_a_run_ends_with_the_gates_numbers(page, server):
    runs = graphql(server, "{runsOrError {... on Runs {results {runId jobName}}}}")["runsOrError"]["results"]
    last = next(run["runId"] for run in runs if run["jobName"] == "text_to_checkpoint")
    page.goto(f"{server}/runs/{last}")
    page.get_by_text("RUN_SUCCESS").first.wait_for()
    page.get_by_text("edge_compliance margin").first.wait_for()
    keep(page, "run_log")


OUTSIDE = [
    "..%2f..%2fsecret/ipynb",
    "../../secret/ipynb",
    "%2e%2e/%2e%2e/secret/ipynb",
    "x/..%2f..%2f..%2fsecret/ipynb",
]


@pytest.mark.parametrize("path", [*(f"/logs/{path}" for path in OUTSIDE), "/logs/nobody/out"])
def test_s13_no_path_of_a_log_leads_out_of_the_logs(server, secret, path):
    status, body = fetched(server, path)
    assert 400 <= status < 500 and SECRET not in body, (status, body[:500])


def test_s13_no_notebook_is_read_for_whoever_asks(server, secret):
    for path in (secret, "../secret.ipynb", "secret.ipynb"):
        assert SECRET not in fetched(server, f"/notebook?path={path}&repoLocName=stemma")[1]


@pytest.fixture
def secret(root):
    """A file beside the logs' folder."""
    path = root / "secret.ipynb"
    path.write_bytes(b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5, "kept": "%s"}' % SECRET)
    yield path
    path.unlink()


def fetched(server, path):
    """Status and body, with the path sent as it is."""
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
