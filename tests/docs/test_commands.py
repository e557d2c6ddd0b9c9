"""Every command, setting and line of Python that the documentation shows is one that works."""

import ast
import importlib
import re

import pytest

from assets_data.lineage import StemmaError, resolve, with_overrides
from pipeline_defs.catalogue import catalogue
from pipeline_defs.commands.chain import plan_chain
from pipeline_defs.commands.cli import make_parser
from pipeline_defs.commands.settings import chosen_settings, stage_overrides
from tests.docs.shown import blocks, commands, inline, pages
from training.__main__ import parse_setting
from training.__main__ import parser as training_parser

PAGES = pages()
OURS = {page: text for page, text in PAGES.items() if not page.startswith("docs/reference/")}
STAGE_OF = {"slices": "text/raw_slice", "mix": "text/mix"}


def refused(words: list[str]) -> str | None:
    """Why a command line is not one, or None."""
    try:
        if words[0] == "python":
            options = training_parser().parse_args(words[3:])
            if recipe := catalogue().recipes.get(options.recipe):
                with_overrides(recipe.presets[options.preset](), dict(map(parse_setting, options.set)))
            return None
        options = make_parser().parse_args(words[1:])
        if words[1] == "run" and options.recipe in catalogue().recipes:
            plan_chain(options.recipe, options.preset, chosen_settings(None, options.set))
        elif kind := STAGE_OF.get(words[1]):
            prefix = "text.mix." if words[1] == "mix" else ""
            settings = chosen_settings(None, [f"{prefix}{setting}" for setting in getattr(options, "set", [])])
            overrides = stage_overrides(settings, list(catalogue().stages.values()))[kind]
            given = {"source": "http_index"} if words[1] == "slices" else {}  # as `slices` itself takes for granted
            if overrides:
                resolve(catalogue().stage(kind).presets or {}, "demo", {**given, **overrides})
    except SystemExit:
        return "the parser refuses it"
    except StemmaError as error:
        return str(error)
    return None


@pytest.mark.parametrize("page", OURS)
def test_every_command_on_a_page_parses_and_its_settings_exist(page, capsys):
    broken = {" ".join(words): why for words in commands(OURS[page]) if (why := refused(words))}
    assert broken == {}, capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "stemma rnu",
        "stemma run --prest smoke",
        "stemma run --set text.triples.windwo=3",
        "stemma run --set text.triples.window=wide",
        "stemma run --recipe hrm_lm --preset strict",
        "stemma slices add --set raw_slice.http.idx=x",
        "stemma mix --set 'weight={}'",
        "stemma export NODE --format pdf",
        "python -m training --recipe walk_lm --store x --set train.update=5",
        "python -m training --recipe walk_lm",
    ],
)
def test_a_command_that_does_not_work_would_be_found(line):
    (words,) = commands(f"text\n\n    {line}        # comment\n")
    assert refused(words)


def test_the_pages_show_commands_of_every_kind():
    shown = {words[1] for text in OURS.values() for words in commands(text) if words[0] == "stemma"}
    assert {"run", "explain", "withdraw", "sign", "slices", "mix", "export-triples", "rebuild"} <= shown


def test_every_command_named_in_a_sentence_exists():
    (group,) = (action for action in make_parser()._actions if action.choices)
    named = {name for text in OURS.values() for span in inline(text) for name in re.findall(r"^stemma ([a-z-]+)", span)}
    assert named and named <= set(group.choices or {})


@pytest.mark.parametrize("page", [page for page in OURS if blocks(OURS[page], "toml")])
def test_every_settings_file_shown_is_one_that_a_run_takes(page, tmp_path):
    """By the first recipe that the page runs; a page that names none is about the default one."""
    named = [words[words.index("--recipe") + 1] for words in commands(OURS[page]) if "--recipe" in words]
    for number, body in enumerate(blocks(OURS[page], "toml")):
        path = tmp_path / f"{number}.toml"
        path.write_text(body)
        plan_chain(next(iter(named), "walk_lm"), "smoke", chosen_settings(path, []))


def test_a_settings_file_that_does_not_work_would_be_found(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[text.raw_slice]\nsource = "folder"\n')
    with pytest.raises(StemmaError):
        plan_chain("walk_lm", "smoke", chosen_settings(path, []))


@pytest.mark.parametrize("page", [page for page in OURS if blocks(OURS[page], "python")])
def test_what_python_shown_imports_is_there(page):
    for body in blocks(OURS[page], "python"):
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
