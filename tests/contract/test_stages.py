"""What a stage's declaration promises: it agrees with its function, its names load, nobody else names it."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets_data.domain import MANIFEST, Domain
from assets_data.lineage import ConfigError, Store
from assets_data.lineage.receipts.code import ROOT
from assets_data.stage import Check, Many, One, Part, Stage, load
from pipeline_defs.catalogue import catalogue
from training import recipe as recipes

STAGES, DOMAINS = catalogue().stages, catalogue().domains
HERE = __name__


def disagreements(stage: Stage) -> Iterator[str]:
    """Where a declaration and the signature of its function differ."""
    parameters = inspect.signature(load(stage.make)).parameters
    offered = {"store", "inputs", *stage.inputs, *stage.bind}
    offered |= {"config"} if stage.presets is not None else set()
    offered |= {"slice_name"} if stage.sliced else set()
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in offered:
            yield f"nobody gives {name}"
    if "inputs" not in parameters:
        yield from (f"input {name} is not taken" for name in stage.inputs if name not in parameters)
    yield from (f"{name} is bound and not taken" for name in stage.bind if name not in parameters)
    if stage.presets is not None and "config" not in parameters:
        yield "it has presets and takes no config"


def addresses(stage: Stage) -> dict[str, str]:
    """Everything that a stage names as ``module:function``, by what it is."""
    named = {name: getattr(stage, name) for name in ("make", "schema", "without", "now", "figures")}
    named |= {f"check {check.name}": check.run for check in stage.checks}
    parts = {name: given.part for name, given in stage.inputs.items() if given.part}
    named |= {f"digest of {name}": part.digest for name, part in parts.items()}
    named |= {f"changes of {name}": part.changes for name, part in parts.items()}
    return {what: address for what, address in named.items() if address}


def hooks(domain: Domain) -> dict[str, str]:
    """Everything that a domain names, by what it is."""
    named = {name: getattr(domain, name) for name in ("slices", "standing", "grown", "recorded", "preview", "alike")}
    named |= {"commands": f"{domain.commands}:add_parsers" if domain.commands else ""}
    named |= {f"job {job.name}": job.run for job in domain.jobs}
    return {what: address for what, address in named.items() if address}


def unloadable(named: dict[str, str]) -> dict[str, str]:
    """Those that name no function, and why."""
    found = {}
    for what, address in named.items():
        try:
            if not callable(load(address)):
                found[what] = f"{address} is no function"
        except ConfigError as error:
            found[what] = str(error)
    return found


def test_there_are_stages_of_domains_and_of_recipes():
    assert {"text/triples", "walk_lm/checkpoint", "hrm_lm/gate_report"} <= set(STAGES) and len(STAGES) > 12


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_declaration_agrees_with_its_function(stage):
    assert stage.on_request or list(disagreements(stage)) == []  # what is asked for by hand is called by hand


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_all_that_a_stage_names_can_be_loaded(stage):
    assert unloadable(addresses(stage)) == {}


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_all_that_a_domain_names_can_be_loaded(domain):
    assert hooks(domain) and unloadable(hooks(domain)) == {}


def make_echo(store, documents, slices, config, recipe, drops=None):
    return {"store": store, "documents": documents, "slices": slices, "config": config, "bound": recipe, "drops": drops}


def make_from_all(store, inputs):
    return inputs


def echo(**changes) -> Stage:
    """A stage that agrees with :func:`make_echo`, or does not."""
    sound = {
        "make": f"{HERE}:make_echo",
        "inputs": {"documents": One("a/b"), "slices": Many("a/c"), "drops": One("a/d")},
        "presets": {"demo": dict},
        "bind": {"recipe": "r"},
    }
    return Stage(kind="a/e", says="Says what it was given.", **{**sound, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"inputs": {"documents": One("a/b")}}, ["nobody gives slices"]),
        ({"presets": None}, ["nobody gives config"]),
        ({"bind": {}}, ["nobody gives recipe"]),
        ({"bind": {"recipe": "r", "other": 1}}, ["other is bound and not taken"]),
        ({"inputs": {**echo().inputs, "more": One("a/f")}}, ["input more is not taken"]),
        ({"make": f"{HERE}:make_from_all", "presets": None, "bind": {}}, []),
        ({"make": f"{HERE}:make_from_all", "bind": {}}, ["it has presets and takes no config"]),
    ],
    ids=str,
)
def test_a_declaration_that_disagrees_is_found(changes, said):
    assert list(disagreements(echo(**changes))) == said


@pytest.mark.parametrize(
    "changes",
    [
        {"make": "assets_data.nowhere:make"},
        {"schema": "assets_data.stage:nothing"},
        {"checks": (Check(name="c", run="assets_data.stage:NOTHING", says=""),)},
        {"inputs": {"documents": One("a/b", part=Part(digest=f"{HERE}:make_from_all", changes="assets_data.stage"))}},
        {"inputs": {"documents": One("a/b", part=Part(digest="assets_data.stage", changes=f"{HERE}:make_from_all"))}},
        {"without": "no_such_room:f"},
    ],
    ids=str,
)
def test_an_address_that_names_no_function_is_found(changes):
    assert len(unloadable(addresses(echo(**changes)))) == 1


def test_a_call_gives_inputs_by_name_what_is_bound_and_leaves_out_what_is_not_at_hand(tmp_path):
    store = Store(tmp_path)
    found = echo().call(store, {"documents": "d", "slices": {"s-0": "s"}}, config="c", slice_name="not taken")
    expected = {"store": store, "documents": "d", "slices": {"s-0": "s"}, "config": "c", "bound": "r", "drops": None}
    assert found == expected
    assert echo(make=f"{HERE}:make_from_all").call(store, {"a": 1, "b": 2}) == {"a": 1, "b": 2}


SHARED = [
    *(path for path in (ROOT / "pipeline_defs").rglob("*.py") if "templates" not in path.parts),
    *(ROOT / "assets_data" / "lineage").rglob("*.py"),
    *(ROOT / "assets_data" / f"{name}.py" for name in ("stage", "domain", "plugins")),
    *(path for folder in (".", "callbacks", "config") for path in (ROOT / "training" / folder).glob("*.py")),
]
"""Code that every domain and recipe shares, and that must not know any of them."""
ARGUMENT = ("help", "description")


def named_stages(source: str) -> list[str]:
    """Stages that some code names. Docstrings, help texts and the example after "such as" are for people."""
    own = {stage.name for stage in STAGES.values() if "_" in stage.name} - {MANIFEST, *recipes.STAGES}
    words = "|".join(sorted({"walk_corpus", "triples", *own}))
    wanted = re.compile(rf"\b(?:{'|'.join(sorted(DOMAINS))})/|{words}")
    tree = ast.parse(source)
    exempt = {id(node) for text in _texts(tree) for node in ast.walk(text)}
    found = []
    for node in ast.walk(tree):
        names = [value for field in node._fields if isinstance(value := getattr(node, field, None), str)]
        if id(node) not in exempt:
            found += [name for name in names if wanted.search(re.sub(r"such as \S+", "", name))]
    return found


def _texts(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for line in body if isinstance(body, list) else ():  # a docstring, or the text below a constant
            if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
                yield line
        if isinstance(node, ast.keyword) and node.arg in ARGUMENT:
            yield node.value


@pytest.mark.parametrize("path", SHARED, ids=lambda path: str(Path(path).relative_to(ROOT)))
def test_no_stage_is_named_outside_its_domain_or_recipe(path):
    assert named_stages(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        'KIND = "text/triples"',
        'if kind == "walk_corpus": pass',
        "def make_triples(): pass",
        "config.raw_slice.window",
        "f(walk_corpus=1)",
        "from assets_data.domains.text.triples import x",
        'x = f"text/{name}"',
        'help = "text/tokenizer"',
        'def f():\n    """text/triples"""\n    return "text/raw"',
    ],
)
def test_a_stage_that_is_named_is_found(source):
    assert named_stages(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""text/triples"""',
        'def f():\n    """such as text/triples"""',
        'f(help="e.g. text.triples")',
        'raise E("a name is wrong", "such as text/triples/s-0")',
        '# text/triples\nx = "context/y"',
    ],
)
def test_texts_for_people_may_name_examples(source):
    assert named_stages(source) == []
