"""The stubs in ``typings`` say what the libraries have: a name or an argument that is made up would pass pyright."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

TYPINGS = Path(__file__).parents[2] / "typings"
STUBS = sorted(TYPINGS.rglob("*.pyi"))
ONLY_IN_STUBS = {"__buffer__"}  # of what lies in C's memory: Python has the name from 3.12 on


def library(stub):
    return importlib.import_module(".".join(stub.relative_to(TYPINGS).with_suffix("").parts).removesuffix(".__init__"))


def with_subclasses(kind):
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in with_subclasses(child))]


def classes_of(module, tree, declared):
    """What a class in a stub stands for; one of a private name, which the library lacks, for those that inherit it."""
    if not declared.name.startswith("_"):
        return [getattr(module, declared.name, None)]
    heirs = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return [getattr(module, heir.name, None) for heir in heirs if declared.name in map(ast.unparse, heir.bases)]


def untrue(module, tree):
    """The names in a stub that the library lacks, and ``name(argument)`` where it takes no such argument there."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield from faults(node, [module])
        for kind in classes_of(module, tree, node) if isinstance(node, ast.ClassDef) else ():
            if kind is None:
                yield node.name
                continue
            for member in node.body:
                if isinstance(member, ast.FunctionDef | ast.AnnAssign):
                    yield from faults(member, with_subclasses(kind))


def faults(declared, holders):
    name = declared.target.id if isinstance(declared, ast.AnnAssign) else declared.name
    found = next((getattr(holder, name) for holder in holders if hasattr(holder, name)), None)
    if found is None and name not in ONLY_IN_STUBS:
        yield name
    elif isinstance(declared, ast.FunctionDef) and not (name.startswith("__") and name != "__init__"):
        yield from (f"{name}({argument})" for argument in made_up(declared.args, inspect.signature(found)))


def made_up(declared, signature):
    """The arguments that the library does not take in that place, or, of those by keyword, at all."""
    known = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    if any(p.kind is p.VAR_POSITIONAL for p in known):
        return []
    in_place = [p.name for p in known if p.kind is not p.KEYWORD_ONLY]
    by_name = {p.name for p in known if p.kind is not p.POSITIONAL_ONLY}
    placed = [arg.arg for arg in [*declared.posonlyargs, *declared.args] if arg.arg not in ("self", "cls")]
    return [name for place, name in enumerate(placed) if in_place[place : place + 1] != [name]] + [
        arg.arg for arg in declared.kwonlyargs if arg.arg not in by_name
    ]


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: str(path.relative_to(TYPINGS)))
def test_a_stub_names_nothing_that_the_library_lacks(stub):
    assert list(untrue(library(stub), ast.parse(stub.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("def strings() -> None: ...", "strings"),
        ("def array(kind: int) -> None: ...", "array(kind)"),
        ("def memory_map(*, mode: str, way: str) -> None: ...", "memory_map(way)"),
        ("class Tables: ...", "Tables"),
        ("class Table:\n    rows: int", "rows"),
        ("class Table:\n    def slice(self, length: int) -> None: ...", "slice(length)"),
        ("class _Both:\n    def halves(self) -> None: ...\nclass Table(_Both): ...", "halves"),
    ],
)
def test_what_is_made_up_is_named(line, fault):
    assert list(untrue(importlib.import_module("pyarrow"), ast.parse(line))) == [fault]
