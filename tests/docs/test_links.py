"""Links, pictures, paths and codes on every page lead to something."""

import re

import pytest

from docs.generate.errors import CODE, ROOT, find_uses
from tests.docs.shown import anchors, inline, links, pages, resolve

PAGES = pages()
ROOMS = re.compile(r"(?:assets_data|training|pipeline_defs|tests|docs|benchmarks)/[\w./-]+\Z")
VARIABLES = {
    "RAY_API_SERVER_ADDRESS",
    "STEMMA_ROOT",
    "STEMMA_OPERATIONS",
    "DAGSTER_HOME",
    "DAGSTER_POSTGRES_URL",
    "POSTGRES_PASSWORD",
}
AS_TEXT = {"SEAL_DENIED": "pipeline_defs/sealed/child.py"}  # a code that crosses a wall as text
FIELDS = {f"STEMMA_{name}" for name in ("CHANGE", "PREDICTED", "SURPRISE", "LLR", "WHY")}  # of a scored VCF


def dead(page: str, target: str) -> bool:
    """Whether a link leads nowhere; those to other hosts are not looked at."""
    if re.match(r"[a-z]+:", target):
        return False
    path, anchor = resolve(page, target)
    if path not in PAGES:
        return bool(anchor) or not (ROOT / path).exists()
    return bool(anchor) and anchor not in anchors(PAGES[path])


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page):
    assert [target for target in links(PAGES[page]) if dead(page, target)] == []


@pytest.mark.parametrize(
    "target", ["nowhere.md", "../nowhere.md", "figures.md#nowhere", "#nowhere", "../docs/flow.png", "adr/0009-no.md"]
)
def test_a_dead_link_would_be_found(target):
    assert dead("docs/index.md", target)


def test_live_links_are_not_called_dead():
    assert not any(dead("docs/index.md", target) for target in ("figures.md#memory", "reference/errors.md", "flow.svg"))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_the_tree_that_a_page_names_is_there(page):
    named = {span for span in inline(PAGES[page]) if ROOMS.match(span)}
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_every_code_that_a_page_names_can_be_raised():
    assert all(f'"{code}"' in (ROOT / path).read_text() for code, path in AS_TEXT.items())
    known = {use.code for use in find_uses()} | VARIABLES | FIELDS | AS_TEXT.keys()
    named = {span for page, text in PAGES.items() for span in inline(text) if CODE.match(span)}
    assert len(named) > 200 and named - known == set()
