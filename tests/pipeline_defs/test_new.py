"""``stemma new``: what it refuses, with nothing written; that what it writes works is for contract/test_plugins.py."""

import ast

import pytest

from assets_data.lineage import ConfigError
from assets_data.lineage.receipts.code import ROOT
from pipeline_defs.commands.cli import main
from pipeline_defs.commands.new import new_domain, new_recipe
from training.recipe import Recipe, discover


@pytest.mark.parametrize("name", ["Toy", "1toy", "to-y", "toy.x", "", "class", "pins", "a" * 51, "tøy", "../toy"])
def test_a_name_that_is_no_identifier_in_lower_case_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=r"\[NEW_NAME\]"):
        new_domain(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["text", "walk_lm", "training", "json", "numpy", "tests"])
def test_a_name_that_a_domain_a_recipe_or_a_package_has_is_refused(tmp_path, name):
    for write in (new_domain, new_recipe):
        with pytest.raises(ConfigError, match="NEW_NAME_TAKEN"):
            write(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["folder", "file", "link"])
def test_what_is_there_already_is_never_written_over(tmp_path, there):
    target = tmp_path / "meters"
    if there == "folder":
        target.mkdir()
        (target / "mine").write_text("precious")
    elif there == "file":
        target.write_text("precious")
    else:
        target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="NEW_TARGET"):
        new_domain("meters", tmp_path)
    kept = target / "mine" if there == "folder" else target
    assert kept.is_symlink() or kept.read_text() == "precious"
    assert sorted(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"domain": "txet"}, "DOMAIN_UNKNOWN"),
        ({"domain": "text"}, "NEW_DOMAIN"),
        ({}, "NEW_DOMAIN"),
        ({"parent": "walk_ml"}, "CHAIN_UNKNOWN_RECIPE"),
        ({"parent": "walk_lm"}, "NEW_PARENT"),
    ],
)
def test_a_recipe_on_what_the_template_cannot_read_is_refused(tmp_path, options, code):
    with pytest.raises(ConfigError, match=rf"\[{code}\]"):
        new_recipe("mine", tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote_or_the_code_of_what_is_wrong(tmp_path, capsys):
    assert main(["new", "domain", "meters", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "  meters/meters/domain.py\n" in told and "pip install" in told
    assert main(["new", "domain", "meters", str(tmp_path)]) == 1
    assert "NEW_TARGET" in capsys.readouterr().err


def test_no_word_of_the_template_is_left_and_every_file_parses(tmp_path):
    folder = new_domain("meters", tmp_path)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".py", ".toml", ".md"}
    for path in files:
        text = path.read_text()
        assert "newdomain" not in text.lower() and "meters" in (text + str(path)), path
        if path.suffix == ".py":
            assert ast.get_docstring(ast.parse(text)), path


def test_a_recipe_that_reads_many_slices_or_makes_slices_of_nothing_is_left_out():
    from assets_data.stage import Many, One, Stage
    from training.recipe import check_recipe

    class Odd(type(discover()["hrm_lm"])):
        inputs = {"rows": Many("text/triples")}
        derived = (
            Stage(
                kind="hrm_lm/states",
                make="training.recipes:x",
                says="",
                inputs={"t": Many("text/triples")},
                sliced=True,
            ),
        )

    problems = list(check_recipe(Odd()))
    assert len(problems) == 2 and "many slices" in problems[0] and "slice by slice" in problems[1]
    Odd.inputs, Odd.derived = {"rows": One("text/triples")}, ()
    assert list(check_recipe(Odd())) == [] and isinstance(Odd(), Recipe)


def test_the_templates_are_in_the_distribution():
    declared = (ROOT / "pyproject.toml").read_text()
    assert '"pipeline_defs.commands" = ["templates/**/*"]' in declared
