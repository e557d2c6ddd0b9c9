"""Domains and recipes of installed packages: the sound ones are there, a broken one is left out, and named."""

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


class Plain(Sound):
    name, presets, config_type = "plain", {"demo": dict}, dict


class Itself(Sound):
    name, inputs = "itself", {"manifest": One("itself/checkpoint")}


class One_of_many(Sound):
    name, inputs = "one_of_many", {"manifest": One("text/triples")}


class Named(Sound):
    name, inputs = "named", {"config": One("text/dataset_manifest")}


class Homeless(Sound):
    name, package = "homeless", "builtins"


class Torchy(Sound):
    name, needs = "torchy", "torch"


homeless = Homeless()
plain, itself, one_of_many, named, torchy = Plain(), Itself(), One_of_many(), Named(), Torchy()
lacking, sound, walker, presetless, raising = Lacking(), Sound(), Walker(), Presetless(), Raising()
strange, blind, wild, nameless = Strange(), Blind(), Wild(), Nameless()
'''
DOMAINS = """
import sys
from dataclasses import dataclass, replace

from assets_data.domain import Domain, Job
from assets_data.lineage import option
from assets_data.stage import NOTHING, ROWS, Check, Many, One, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    root: str = option("", "where the files are")


class Loose:
    root = ""


def slices(config, store): ...
def work(store): ...


HERE = __name__
PRESETS = {"demo": Config}


def domain(name, raw=None, manifest=None, **members):
    raw = dict(kind=f"{name}/raw", make=f"{HERE}:work", says="", source=True, sliced=True, learns=ROWS) | (raw or {})
    last = dict(kind=f"{name}/dataset_manifest", make=f"{HERE}:work", says="", learns=NOTHING) | (manifest or {})
    last = {"inputs": {"raw": Many(raw["kind"])}} | last
    return Domain(**(dict(name=name, stages=(Stage(**raw), Stage(**last)), slices=f"{HERE}:slices") | members))


d_sound = domain("d_sound", {"presets": PRESETS})
d_raising = domain("d_raising", {"presets": {"demo": lambda: 1 / 0}})
d_leaving = domain("d_leaving", {"presets": {"demo": lambda: sys.exit(3)}})
d_dict = domain("d_dict", {"presets": {"demo": dict}})
d_loose = domain("d_loose", {"presets": {"demo": Loose}})
d_two_types = domain("d_two_types", {"presets": {"demo": Config, "smoke": dict}})
d_no_preset = domain("d_no_preset", {"presets": {}})
d_list = domain("d_list", {"presets": ["demo"]})
d_section = domain("d_section", {"presets": PRESETS, "sections": ("nowhere",)})
d_pin = domain("d_pin", {"presets": PRESETS, "pin": "root.again"})
d_make = domain("d_make", {"make": "nowhere.at:all"})
d_nothing = domain("d_nothing", {"make": ""})
d_nowhere = domain("d_nowhere", slices="")
d_keyword = domain("d_keyword", manifest={"inputs": {"class": Many("d_keyword/raw")}})
d_module = domain("d_module", {"modules": ("nowhere",)})
d_check = domain("d_check", {"checks": (Check(name="same", run=f"{HERE}:work", says=""),) * 2})
d_space = domain("d_space", {"checks": (Check(name="a b", run=f"{HERE}:work", says=""),)})
d_kind = domain("d_kind", {"kind": "d_kind/r w"})
d_twice = replace(d_sound, name="d_twice", stages=(domain("d_twice").stages[0], *domain("d_twice").stages))
d_learns = domain("d_learns", {"learns": "all"})
d_stages = domain("d_stages", stages=("raw",))
d_input = domain("d_input", manifest={"inputs": {"other": One("other/thing")}})
d_one = domain("d_one", manifest={"inputs": {"raw": One("d_one/raw")}})
d_here = domain("d_here", manifest={"inputs": {"raw": Many("d_here/raw"), "there": One("d_there/dataset_manifest")}})
d_there = domain("d_there", manifest={"inputs": {"raw": Many("d_there/raw"), "here": One("d_here/dataset_manifest")}})
d_last = domain("d_last", manifest={"sliced": True, "inputs": {"raw": One("d_last/raw")}})
d_slices = domain("d_slices", slices="nowhere:slices")
d_commands = domain("d_commands", commands="nowhere")
d_job = domain("d_job", jobs=(Job(name="a job", run=f"{HERE}:work", says="", presets=PRESETS),))
d_jobs = domain("d_jobs", jobs=(Job(name="j", run=f"{HERE}:work", says="", presets=PRESETS),) * 2)
d_mix = domain("d_mix", jobs=(Job(name="mix", run=f"{HERE}:work", says="", presets=PRESETS),))
d_gc = domain("d_gc", jobs=(Job(name="gc", run=f"{HERE}:work", says="", presets=PRESETS),))
d_retrain = domain("d_retrain", jobs=(Job(name="retrain_walk_lm", run=f"{HERE}:work", says="", presets=PRESETS),))
hrm_lm = domain("hrm_lm", jobs=(Job(name="shared", run=f"{HERE}:work", says="", presets=PRESETS),))
sharing = domain("sharing", jobs=hrm_lm.jobs)
"""
DOMAIN_WHY = {
    "d_raising": "ZeroDivisionError",
    "d_leaving": "SystemExit",
    "d_dict": "gives no frozen dataclass but a dict",
    "d_loose": "gives no frozen dataclass but a Loose",
    "d_two_types": "presets of several types: Config, dict",
    "d_no_preset": "no mapping from at least one name",
    "d_list": "no mapping from at least one name",
    "d_section": "reads the section nowhere, which its config lacks",
    "d_pin": "reads the section root.again, which its config lacks",
    "d_make": "names 'nowhere.at:all' as make, which is not there",
    "d_nothing": "names '' as make, which is not there",
    "d_nowhere": "names '' as slices, which is not there",
    "d_keyword": "reads something as 'class', which cannot name an argument",
    "d_module": "names the module nowhere, which is not there",
    "d_check": "has two checks called same",
    "d_space": "has a check called 'a b'",
    "d_kind": "'d_kind/r w' is no kind",
    "d_twice": "two stages make d_twice/raw",
    "d_learns": "learns 'all', which is none of",
    "d_stages": "AttributeError",
    "d_input": "nothing makes what it reads: other/thing",
    "d_one": "reads one d_one/raw, of which there is one for each slice",
    "d_here": "nothing makes what it reads: d_there/dataset_manifest",
    "d_there": "nothing makes what it reads: d_here/dataset_manifest",
    "d_last": "d_last/dataset_manifest is made slice by slice",
    "d_slices": "names 'nowhere:slices' as slices, which is not there",
    "d_commands": "names 'nowhere' as commands, which is not there",
    "d_job": "has a job called 'a job'",
    "d_jobs": "it has two jobs called j",
    "d_mix": "the domain text has a job called mix too",
    "d_gc": "Stemma itself has a job called gc too",
    "d_retrain": "Stemma itself has a job called retrain_walk_lm too",
    "hrm_lm": "a domain and a recipe are both called hrm_lm",
}
COMMANDS = """
from offered.domains import domain

noisy = domain("noisy", commands="offered.commands")


def add_parsers(commands, tools):
    commands.add_parser("status")
"""
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
    "plain": "offered.good:plain",
    "named": "offered.good:named",
    "torchy": "offered.good:torchy",
    "homeless": "offered.good:homeless",
    "itself": "offered.good:itself",
    "one_of_many": "offered.good:one_of_many",
}
CHAIN_WHY = {
    "itself": "nothing makes what it reads: itself/checkpoint",
    "one_of_many": "reads one text/triples, of which there is one for each slice",
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
    "plain": "no frozen dataclass but a dict; its preset demo has no train that is a TrainConfig",
    "named": "reads something as 'config', which cannot name an argument",
    "homeless": "its package builtins has no source",
    "torchy": "needs is the single word 'torch'",
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
    (folder / "offered" / "domains.py").write_text(DOMAINS)
    (folder / "offered" / "commands.py").write_text(COMMANDS)
    (folder / "offered" / "needy.py").write_text("import no_such_library")
    (folder / "offered" / "leaving.py").write_text("raise SystemExit(3)")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    entries = "\n".join(f"{name} = {address}" for name, address in OFFERED.items())
    domains = "\n".join(f"{name} = offered.domains:{name}" for name in ("d_sound", "sharing", *DOMAIN_WHY))
    domains += "\nnoisy = offered.commands:noisy"
    (info / "entry_points.txt").write_text(f"[stemma.recipes]\n{entries}\n\n[stemma.domains]\n{domains}\n")
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


@pytest.fixture(scope="module")
def left_out(package):
    """What the catalogue left out, and why; with the code location loaded beside it, and what that warned of."""
    program = (
        "import json; from pipeline_defs.definitions import defs; from pipeline_defs.catalogue import catalogue;"
        "defs.get_repository_def().load_all_definitions();"
        "keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()};"
        "print(json.dumps([sorted(keys), catalogue().broken]))"
    )
    done = ask(package, program)
    assert done.returncode == 0, done.stderr
    return [*json.loads(done.stdout), done.stderr]


def test_the_catalogue_and_the_code_location_go_on_without_the_broken_ones(left_out):
    keys, broken, warned = left_out
    assert {"sound/checkpoint", "walk_lm/checkpoint", "hrm_lm/checkpoint"} <= set(keys)
    assert {"d_sound/dataset_manifest", "sharing/dataset_manifest"} <= set(keys)
    assert set(broken) == {*WHY, *CHAIN_WHY, *DOMAIN_WHY}
    assert not {key.partition("/")[0] for key in keys} & (set(broken) - {"walk_lm", "hrm_lm"})
    assert all(f"{name} was left out" in warned for name in broken)


@pytest.mark.parametrize(("name", "why"), [*DOMAIN_WHY.items(), *CHAIN_WHY.items()])
def test_what_cannot_stand_in_the_chain_is_left_out_and_it_is_said_why(left_out, name, why):
    assert why in left_out[1][name]


def test_commands_that_cannot_be_added_are_left_out_and_every_other_one_goes_on(package):
    done = ask(
        package,
        "from pipeline_defs.commands.cli import main; raise SystemExit(main(['config', 'fields', 'text/triples']))",
    )
    assert done.returncode == 0 and "window" in done.stdout, done.stderr
    assert "commands of noisy were left out: ArgumentError" in done.stderr
