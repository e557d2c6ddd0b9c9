"""The reference of error codes, read from the source of the three rooms without importing it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from docs.generate.markdown import code as inline
from docs.generate.markdown import table

ROOT = Path(__file__).parents[2]
ROOMS = ("assets_data", "training", "pipeline_defs")
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+\Z")
ISSUE = "preflight issue"
HEAD = """# Error codes

Every refusal has a code that never changes its meaning; a message reads `[CODE] what failed: expected ..., found ...
(at where). Next: what to do`. The class says whose turn it is: `ConfigError` yours, in the settings; `DataError` the
data's; `IntegrityError` means that stored bytes are not what they were; `StorageError` comes from the disk;
`TrainingError` and `GateError` stop a training or a verdict that nobody could trust. A *preflight issue* is reported
with all others of its preflight, before the first update. In the sentences `…` stands for a value.
"""


@dataclass(frozen=True, slots=True)
class Use:
    """One place that gives a code: its class, what it says, and the module and function."""

    code: str
    kind: str
    says: str
    where: str


def errors_page() -> str:
    """Every code, its class, the sentences it comes with, and where."""
    by_code: dict[str, list[Use]] = defaultdict(list)
    for use in find_uses():
        by_code[use.code].append(use)
    rows = [(inline(name), *_row(by_code[name])) for name in sorted(by_code)]
    return f"{HEAD}\n{table(('code', 'class', 'says', 'raised in'), rows)}"


def find_uses() -> list[Use]:
    """Every use of a code as an error's, an issue's or a contradiction's, in file order."""
    trees = {path: ast.parse(path.read_bytes()) for path in source_files()}
    classes = _error_classes(trees.values())
    makers = {_module(path): _makers(tree, classes) for path, tree in trees.items()}
    return [use for path, tree in trees.items() for use in _Finder(path, tree, classes, makers).uses()]


def source_files() -> list[Path]:
    """The modules of the three rooms; templates of new packages have codes of their own."""
    paths = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return [path for path in paths if "templates" not in path.parts]


def _row(uses: list[Use]) -> tuple[str, str, str]:
    kinds, says, where = ([getattr(use, name) for use in uses] for name in ("kind", "says", "where"))
    return (
        ", ".join(dict.fromkeys(kinds)),
        "<br>".join(dict.fromkeys(says)),
        "<br>".join(inline(place) for place in dict.fromkeys(where)),
    )


def _error_classes(trees: Iterable[ast.Module]) -> dict[str, str]:
    """Every class that carries a code, and the class of the error that reaches people: its own, or, of an exception
    that is only passed on, the one that takes over its code in the same module.
    """
    found = [(tree, node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    bases = {node.name: {ast.unparse(base) for base in node.bases} for _, node in found}
    known = {"StemmaError": "StemmaError"}
    while more := {name: name for name, above in bases.items() if name not in known and above & set(known)}:
        known |= more
    for tree, node in found:
        if node.name not in known and "Exception" in bases[node.name] and _takes_code(node):
            known[node.name] = _raised_with_variable_code(tree, known) or node.name
    return known


def _takes_code(node: ast.ClassDef) -> bool:
    made = (part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__")
    return any([argument.arg for argument in part.args.args][1:2] == ["code"] for part in made)


def _raised_with_variable_code(tree: ast.AST, classes: Iterable[str]) -> str | None:
    """The error of this module whose code is no constant."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    named = (getattr(call.func, "id", "") for call in calls if isinstance(call.args[0], ast.Subscript | ast.Attribute))
    return next((name for name in named if name in classes), None)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _makers(tree: ast.Module, classes: Mapping[str, str]) -> dict[str, str]:
    """The functions of a module that give an error, and its class: what they are called with is its code."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns]
    return {n.name: name for n in found if (name := ast.unparse(n.returns)) in classes}  # type: ignore[arg-type]


class _Finder:
    """The uses in one module."""

    def __init__(
        self, path: Path, tree: ast.Module, classes: Mapping[str, str], makers: Mapping[str, Mapping[str, str]]
    ) -> None:
        self.module, self.tree, self.classes = _module(path), tree, classes
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names = [(alias, makers.get(node.module or "", {})) for node in imports for alias in node.names]
        imported = {alias.asname or alias.name: made[alias.name] for alias, made in names if alias.name in made}
        self.makers = {**imported, **makers[self.module]}

    def uses(self) -> Iterator[Use]:
        yield from self._below(self.tree, (), self.tree)

    def _below(self, node: ast.AST, names: tuple[str, ...], scope: ast.AST) -> Iterator[Use]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = (*names, node.name)
            scope = node if isinstance(node, ast.FunctionDef) else scope
        for kind, given, text in self._candidates(node):
            for value in _codes(given, scope):
                says = " / ".join(_sentences(text, scope)) or "what was found, in its own words"
                yield Use(value, kind, says, ".".join((self.module, *names)))
        for child in ast.iter_child_nodes(node):
            yield from self._below(child, names, scope)

    def _candidates(self, node: ast.AST) -> Iterator[tuple[str, ast.expr, ast.expr | None]]:
        """``(class, code, sentence)`` of a call that makes an error or an issue, or a contradiction that is given."""
        if isinstance(node, ast.Call) and node.args:
            name, second = ast.unparse(node.func), node.args[1] if len(node.args) > 1 else None
            if kind := self.classes.get(name.rpartition(".")[2]) or self.makers.get(name.rpartition(".")[2]):
                yield kind, node.args[0], second
            elif name == "Issue.error" and len(node.args) > 2:
                yield f"{ISSUE}, error", node.args[0], node.args[2]
            elif name == "Issue" and len(node.args) > 3:
                yield f"{ISSUE}, {_severity(second)}", node.args[0], node.args[3]
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
            first, *_, last = node.value.elts
            yield self._contradiction(), first, last

    def _contradiction(self) -> str:
        """What becomes of ``(code, ..., sentence)`` in this module: an error raised here, or an issue."""
        return _raised_with_variable_code(self.tree, self.classes) or f"{ISSUE}, error"


def _codes(node: ast.expr, scope: ast.AST) -> list[str]:
    return [text for text in _sentences(node, scope) if CODE.match(text)]


def _sentences(node: ast.expr | None, scope: ast.AST) -> list[str]:
    """The texts that an expression can be: constants, either side of a condition, and what a local name was given."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)]
    if isinstance(node, ast.IfExp):
        return _sentences(node.body, scope) + _sentences(node.orelse, scope)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _sentences(node.left, scope), _sentences(node.right, scope)
        return ["".join([*(left[:1] or ["…"]), *(right[:1] or ["…"])])]
    if isinstance(node, ast.Name):
        return [text for value in _assigned(node.id, scope) for text in _sentences(value, ast.Module([], []))]
    return []


def _assigned(name: str, scope: ast.AST) -> Iterator[ast.expr]:
    """What a name is given in a function, on its own or as one of several."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _given(name, target, node.value)


def _given(name: str, target: ast.expr, value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Name) and target.id == name:
        yield value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, part in zip(target.elts, value.elts, strict=False):
            yield from _given(name, one, part)


def _severity(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "error or warning"
