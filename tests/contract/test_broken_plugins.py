"""Recipes of installed packages: the sound ones are there, a broken one is left out and named, the others go on."""

import json
import os
import subprocess
import sys

import pytest

from assets_data.lineage.receipts.code import ROOT

MODULE = '''
from dataclasses import dataclass

from assets_data.lineage import option
from assets_data.stage import One
from training.config import TrainConfig
from training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    train: TrainConfig = option(TrainConfig(), "training run")


class Lacking(Recipe):
    """Everything but ``loss``."""

    name, presets, config_type = "lacking", {"demo": Config}, Config
    inputs = {"manifest": One("text/dataset_manifest")}

    def open_data(self, store, inputs, config): ...
    def inspect(self, data, config): ...
    def model_inputs(self, data, config): ...
    def build_model(self, config, inputs): ...
    def batch(self, data, config, rows, epochs): ...
    def evaluate(self, model, data, config, preflight): ...


class Sound(Lacking):
    name = "sound"

    def loss(self, model, config, batch): ...


class Walker(Sound):
    name = "walk_lm"


class Presetless(Sound):
    name, presets = "presetless", {}


class Raising(Sound):
    name, presets = "raising", {"demo": lambda: 1 / 0}


class Strange(Sound):
    name, presets = "strange", {"demo": dict}


class Blind(Sound):
    name, inputs = "blind", {}


class Wild(Sound):
    name, derived = "wild", None


class Nameless(Recipe):
    presets, config_type, inputs = Sound.presets, Config, Sound.inputs
    open_data, inspect, model_inputs = Sound.open_data, Sound.inspect, Sound.model_inputs
    build_model = Sound.build_model
    batch, loss, evaluate = Sound.batch, Sound.loss, Sound.evaluate


lacking, sound, walker, presetless, raising = Lacking(), Sound(), Walker(), Presetless(), Raising()
strange, blind, wild, nameless = Strange(), Blind(), Wild(), Nameless()
'''
OFFERED = {
    "sound": "offered.good:sound",
    "import_error": "offered.needy:RECIPE",
    "leaving": "offered.leaving:RECIPE",
    "no_such_object": "offered.good:nothing",
    "a_class": "offered.good:Sound",
    "lacking": "offered.good:lacking",
    "renamed": "offered.good:sound",
    "nameless": "offered.good:nameless",
    "presetless": "offered.good:presetless",
    "raising": "offered.good:raising",
    "strange": "offered.good:strange",
    "blind": "offered.good:blind",
    "wild": "offered.good:wild",
    "walk_lm": "offered.good:walker",
}
WHY = {
    "import_error": "No module named 'no_such_library'",
    "leaving": "SystemExit: 3",
    "no_such_object": "AttributeError",
    "a_class": "it offers no Recipe",
    "lacking": "it does not define loss",
    "renamed": "it is offered as 'renamed' and calls itself 'sound'",
    "nameless": "it has no name",
    "presetless": "it has no presets",
    "raising": "ZeroDivisionError",
    "strange": "its preset demo gives no Config",
    "blind": "it reads nothing",
    "wild": "TypeError",
    "walk_lm": "another one has this name",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with an installed distribution that offers them all."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "offered-1.0.dist-info"
    for path in (folder / "offered", info):
        path.mkdir()
    (folder / "offered" / "__init__.py").touch()
    (folder / "offered" / "good.py").write_text(MODULE)
    (folder / "offered" / "needy.py").write_text("import no_such_library")
    (folder / "offered" / "leaving.py").write_text("raise SystemExit(3)")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    entries = "\n".join(f"{name} = {address}" for name, address in OFFERED.items())
    (info / "entry_points.txt").write_text(f"[stemma.recipes]\n{entries}\n")
    return folder


def ask(package, program):
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, "-W", "always", "-c", program]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def found(package):
    """``[names of sound recipes, why each other one was left out]``, as another process sees them."""
    done = ask(
        package,
        "import json; from training.recipe import broken_recipes, discover;"
        "print(json.dumps([sorted(discover()), broken_recipes()]))",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_sound_ones_are_found_beside_those_of_the_tree(found):
    names, broken = found
    assert {"sound", "walk_lm", "hrm_lm"} <= set(names) and not set(names) & (set(WHY) - {"walk_lm"})
    assert set(broken) == set(WHY)


@pytest.mark.parametrize("name", WHY)
def test_a_broken_one_is_left_out_and_it_is_said_why(found, name):
    assert WHY[name] in found[1][name]


def test_the_trees_own_recipe_is_not_replaced_by_one_of_its_name(package):
    program = "from training.recipe import discover; print(type(discover()['walk_lm']).__module__)"
    assert ask(package, program).stdout.strip() == "training.recipes.walk_lm.recipe"


def test_asking_for_a_broken_one_says_why(package):
    done = ask(package, "from training.recipe import find_recipe; find_recipe('lacking')")
    assert done.returncode == 1 and "RECIPE_UNKNOWN" in done.stderr and "it does not define loss" in done.stderr


def test_the_catalogue_and_the_code_location_go_on_without_the_broken_ones(package):
    program = (
        "from pipeline_defs.definitions import defs; from pipeline_defs.catalogue import catalogue;"
        "keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()};"
        "print('sound/checkpoint' in keys, 'walk_lm/checkpoint' in keys, 'lacking/checkpoint' in keys);"
        "print(*sorted(catalogue().broken))"
    )
    done = ask(package, program)
    assert done.stdout.splitlines() == ["True True False", " ".join(sorted(WHY))], done.stderr
    assert "import_error was left out" in done.stderr and "presetless was left out" in done.stderr
