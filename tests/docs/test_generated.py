"""Generated pages say what the code declares, all of it; those that are kept in the checkout are up to date."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from assets_data.lineage.config import field_names
from docs.generate import DOCS, FILES, PAGES
from docs.generate import errors as errors_module
from docs.generate.commands import walk
from docs.generate.declared import owners
from docs.generate.errors import ROOT, find_uses, source_files
from docs.generate.fields import path, stage_fields
from docs.generate.flow import draw_flow, shortest_links
from pipeline_defs.commands.cli import make_parser
from pipeline_defs.commands.settings import stage_overrides

STAGES = [stage for stages in owners().values() for stage in stages]
GIVEN = re.compile(r"""(?:\b(\w+)\(|\byield\b|=)\s*"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"(?:,| if\b)""")
"""A code as source spells it: the first of several arguments, of what is yielded, or one side of a choice."""
NO_ERRORS = {"get", "setdefault", "sysconf", "_variable"}


@pytest.mark.parametrize("name", FILES)
def test_a_generated_file_in_the_checkout_is_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == FILES[name](), "run `python -m docs.generate`"


def test_every_stage_and_check_is_on_the_page_of_stages():
    page = PAGES["reference/stages.md"]()
    for stage in STAGES:
        assert f"### {stage.kind}\n" in page and stage.says in page
        assert all(f"check `{check.name}`" in page for check in stage.checks)


def test_every_setting_is_on_the_page_by_a_path_that_works():
    page = PAGES["reference/settings.md"]()
    for stages in owners().values():
        for stage in [stage for stage in stages if stage.presets]:
            read = [
                n for n in field_names(stage.config_type) if not stage.sections or n.split(".")[0] in stage.sections
            ]
            assert [name for name, _, _ in stage_fields(stage)] == read
            for name in read:
                shown = path(stage, name)
                assert f"| `{shown}` |" in page
                assert stage_overrides({shown: 0}, STAGES)[stage.kind] == {name: 0}


def test_every_command_is_on_the_page_with_its_arguments():
    page = PAGES["reference/commands.md"]()
    every = list(walk(make_parser()))
    assert len(every) > 20 and ("stemma", "slices", "plan") in [words for words, _, _ in every]
    for words, parser, _ in every:
        section = page.partition(f"\n## {' '.join(words)}\n")[2].partition("\n## ")[0]
        flags = [flag for action in parser._actions for flag in action.option_strings if flag not in ("-h", "--help")]
        assert all(flag in section for flag in flags), words


def test_every_code_in_the_source_is_in_the_reference():
    """Found in another way than the page finds them: by the spelling of the text, not by its grammar."""
    hits = [hit for source in source_files() for hit in GIVEN.findall(source.read_text())]
    spelled = {code for callee, code in hits if callee not in NO_ERRORS}
    page = PAGES["reference/errors.md"]()
    assert len(spelled) > 200 and {code for code in spelled if f"| `{code}` |" not in page} == set()


def test_every_code_says_something_and_has_a_class():
    for use in find_uses():
        assert use.says and (use.kind.endswith("Error") or use.kind.startswith("preflight issue")), use


def test_codes_are_found_in_every_way_of_giving_them(tmp_path, monkeypatch):
    room = tmp_path / "assets_data"
    room.mkdir()
    (room / "errors.py").write_text("class StemmaError(Exception): ...\nclass DataError(StemmaError): ...\n")
    (room / "client.py").write_text(
        "class Passed(Exception):\n    def __init__(self, code): ...\n"
        "def a(): raise DataError('PLAIN_ONE', 'says')\n"
        "def b(x): raise DataError('EITHER_ONE' if x else 'OTHER_ONE', f'{x} is wrong')\n"
        "def c():\n    code, what = 'NAMED_ONE', 'by name'\n    raise DataError(code, what)\n"
        "def d() -> DataError: return DataError('MADE_ONE', 'made')\n"
        "def e(code) -> DataError: return DataError(code, 'helped')\n"
        "def f(): raise e('HELPED_ONE', 'said')\n"
        "def g(): raise Passed('PASSED_ONE', 'on')\n"
        "def h(error): raise DataError(error.code, 'then')\n"
        "def i(): yield Issue('ISSUE_ONE', 'warning', 'path', 'found')\n"
        "def k(): return Issue.error('STOPS_ONE', 'path', 'stops')\n"
        "def j():\n    '''NOT_ONE'''\n    print('NO_CODE')\n"
    )
    (room / "config.py").write_text("def check(config):\n    yield 'YIELDED_ONE', 'path', 'contradiction'\n")
    monkeypatch.setattr(errors_module, "ROOT", tmp_path)
    monkeypatch.setattr(errors_module, "ROOMS", ("assets_data",))
    found = {use.code: (use.kind, use.says) for use in find_uses()}
    assert found == {
        "PLAIN_ONE": ("DataError", "says"),
        "EITHER_ONE": ("DataError", "… is wrong"),
        "OTHER_ONE": ("DataError", "… is wrong"),
        "NAMED_ONE": ("DataError", "by name"),
        "MADE_ONE": ("DataError", "made"),
        "HELPED_ONE": ("DataError", "said"),
        "PASSED_ONE": ("DataError", "on"),
        "ISSUE_ONE": ("preflight issue, warning", "found"),
        "STOPS_ONE": ("preflight issue, error", "stops"),
        "YIELDED_ONE": ("preflight issue, error", "contradiction"),
    }


def test_the_picture_holds_every_asset_and_no_line_that_others_imply():
    drawn = re.findall(r"<text[^>]*>([^<]+)</text>", draw_flow())
    assert sorted(drawn) == sorted(stage.kind for stage in STAGES if not stage.on_request)
    assert shortest_links({"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a", "c"}}) == {
        "a": set(),
        "b": {"a"},
        "c": {"b"},
        "d": {"c"},
    }


def test_a_figure_on_the_page_follows_its_file(monkeypatch, tmp_path):
    from docs.generate import figures

    for source in figures.RESULTS.glob("*.json"):
        document = json.loads(source.read_bytes())
        if source.stem == "chain_demo":
            document["figures"]["first_run_s"] = 987_654.0
        (tmp_path / source.name).write_text(json.dumps(document))
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    assert "987654 s, of which" in figures.figures_page()


def test_the_page_about_growth_follows_its_files(monkeypatch, tmp_path):
    from docs.generate import figures, growth

    def steps(seconds, events_s, peak):
        one = {"cpu_s": seconds, "peak_mib": peak, "dagster_runs": 3, "events": 1234, "events_s": events_s}
        one |= {"look_s": 31.25, "work_s": 12.5, "orchestration_s": 9.75, "wall_s": 44.5}
        return {name: dict(one) for name in growth.STEPS}

    sizes = {"4": steps(1.5, 0.2, 10), "100": steps(2, 1, 11), "2004": steps(70.25, 20.2, 777)}
    sizes["2004"]["uses"]["peak_mib"] = 8888
    exponent = {"made": 1.07, "status": None}
    slices = {"command": "python -m slices", "commit": "a" * 40, "figures": {"slices": sizes, "exponent": exponent}}
    first = {"wall_s": 12.34, "cpu_s": 5.67, "peak_mib": 432}
    epoch = {"command": "python -m epoch", "commit": "b" * 40, "figures": {"rows": 5_000_000, "first_batch": first}}
    for name, document in (("slices", slices), ("epoch", epoch)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    page = growth.growth_page()
    assert "| `stemma run` in an empty root, to the manifest | 1.5 | 2.0 | 70.2 | 1.07 |" in page
    assert (
        "| `stemma status` | 1.5 | 2.0 | 70.2 | none |" in page
        and "| the same again: nothing to do | 3 | 1,234 | 31.2 | 12.5 | 9.8 | 20.2 | 44.5 |" in page
    )
    assert "costs Dagster 10 ms" in page and "A run takes 777 MiB of memory at most, an answer 8,888." in page
    assert "Over 5,000,000 rows" in page and "12.3 s (5.7 of a processor) and 432 MiB" in page


def test_the_page_about_mazes_follows_its_file(monkeypatch, tmp_path):
    from docs.generate import figures, mazes

    def arm(deep, **by_depth):
        run = {"near": [0.9, 0.8, 0.95], "deep": deep, "verdict": "fail", "parameters": 1234, "cpu_seconds": 7.2}
        return {"summary": {"mean_exact_by_depth": by_depth}, "runs": {"31": run}}

    found = {
        "core": arm([0.6, 0.5, 0.7], segments_1=[0.111] * 10, segments_2=[0.222] * 10),
        "core_without_slow_slots": arm([0.3, 0.2, 0.4], segments_2=[0.333] * 10, segments_4=[0.444] * 10),
        "plain": arm([0.1, 0.0, 0.2], segments_1=[0.555] * 10),
    }
    document = {"command": "python -m benchmarks.hrm_core", "commit": "0" * 40, "figures": found}
    (tmp_path / "hrm_core.json").write_text(json.dumps(document))
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    page = mazes.mazes_page()
    assert "| core | 31 | 0.900 [0.800, 0.950] | 0.600 [0.500, 0.700] | fail | 1,234 | 7 |" in page
    assert "| with slots | 1 |" in page and "| without | 0 |" in page and "| core | 2 | 0.222 |" in page
    assert "0.111" not in page and "| plain | none | 0.555 |" in page and ", every run\n" not in page
    (tmp_path / "hrm_core_path.json").write_text(json.dumps(document | {"figures": {"path_9x9": found["plain"]}}))
    assert "| path 9x9 | 31 | 0.900 [0.800, 0.950] |" in mazes.mazes_page().partition("## A harder step, every run")[2]
    found["core"]["runs"]["31"]["deep"] = [0.4, 0.3, 0.5]
    (tmp_path / "hrm_core.json").write_text(json.dumps(document))
    assert "| with slots | 0 |" in mazes.mazes_page() and "| intervals overlap | 1 |" in mazes.mazes_page()


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    html = "".join(page.read_text() for page in Path(tmp_path / "site").rglob("*.html"))
    assert "SNAPSHOT_FILE_DIGEST" in html and "make_checkpoint" in html
    assert re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"?https?:[^>]*>", html) == []
