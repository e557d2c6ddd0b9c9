"""Which code and which environment: source digests per stage, the commit, the dirty diff, the installed packages.

A stage's code version covers its module and everything of this project and its plug-ins that it imports, found by
reading import statements, so an edit stales exactly the stages that could behave differently. Nothing is imported to
find out. A plug-in is a package that offers a domain or a recipe by an entry point; where it is installed is no part
of its version.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from assets_data.lineage.errors import ConfigError
from assets_data.lineage.identity.digests import digest_bytes, digest_json
from assets_data.lineage.receipts.packages import installed_packages
from assets_data.lineage.receipts.variables import bit_variables
from assets_data.lineage.receipts.working_tree import tree_state
from assets_data.lineage.storage.verified import file_key, is_settled

ROOT = Path(__file__).parents[3]
ROOMS = ("assets_data", "training", "pipeline_defs")
OFFERS = ("stemma.domains", "stemma.recipes")  # the entry points by which a package offers a domain or a recipe

_STARTED = time.time_ns()


@functools.cache
def code_version(*modules: str) -> str:
    """A digest over the source of ``modules`` and their import closure within this project.

    A module of an installed plug-in is covered in the same way, within its own top-level package, this project and the
    other packages that offer a domain or a recipe.
    Naming a package takes in every module below it, for code that is found by discovery rather than imported.
    """
    return _source_digest(modules)


def _source_digest(modules: Iterable[str]) -> str:
    pending = [file for module in modules for file in _sources(module)]
    seen: dict[_File, str] = {}
    while pending:
        file = pending.pop()
        if file not in seen:
            seen[file], imported = _read(file)
            pending += imported
    return digest_json({file.name: digest for file, digest in seen.items()})


def has_source(module: str) -> bool:
    """Whether a module, or a package, of this project or of an installed one is there. Imports nothing."""
    try:
        return bool(_sources(module))
    except ConfigError:
        return False


def _read(file: _File) -> tuple[str, list[_File]]:
    """The digest of a source file and what it imports: read once per process, for as long as the file stays as it is.

    Of a file that was written to a moment ago its times say too little, so it is read again each time.
    """
    key, now = file_key(file.path), time.time_ns()
    if (found := _READ.get((file, key))) is None:
        source = file.path.read_bytes()
        found = digest_bytes(source), _imports(file, source)
        if is_settled(key, now) and file_key(file.path) == key:
            _READ[file, key] = found
    return found


_READ: dict[tuple[_File, tuple[int, ...]], tuple[str, list[_File]]] = {}


@functools.cache
def commit() -> dict[str, Any]:
    """``{"commit", "dirty", "diff"}`` as this process first saw it: what it imported, apart from what
    :func:`changes_since` says was touched. Ask before the work, not after it.

    Outside a git checkout the commit is None and the source digest of the rooms stands in for the diff.
    """
    return dict(_told[0]) if _told else _commit_now()


_told: list[Mapping[str, Any]] = []


def take_surroundings(tree: Mapping[str, Any], around: Mapping[str, Any]) -> None:
    """From now on say these of checkout and environment: those of the process that this one works for, which could see
    them. For one that is shut in.
    """
    _told[:] = [tree, around]


def environment() -> dict[str, Any]:
    """Interpreter, platform, the packages as imported with a digest over them (the environment's lock), and the
    variables that decide bits.
    """
    if _told:
        return dict(_told[1])
    packages = installed_packages(ROOT)
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "packages": len(packages),
        "lock": digest_json(packages),
        "variables": dict(bit_variables()),
    }


def changes_since(tree: Mapping[str, Any], surroundings: Mapping[str, Any]) -> dict[str, Any]:
    """What is not as it was when the work began, as it is now; empty when nothing moved.

    ``commit``, ``dirty`` and ``diff`` where the checkout moved, ``lock`` and ``variables`` where the environment did,
    ``touched``: files of ours that were written after this process had begun and that it has imported.
    """
    now, around = _commit_now(), environment()
    moved: dict[str, Any] = now if now != dict(tree) else {}
    moved |= {name: around[name] for name in ("lock", "variables") if around[name] != surroundings[name]}
    return moved | ({"touched": touched} if (touched := _touched()) else {})


def _commit_now() -> dict[str, Any]:
    return tree_state(ROOT, ROOMS) or {"commit": None, "dirty": None, "diff": _source_digest(ROOMS)}


def _touched() -> list[str]:
    return sorted(str(Path(path).relative_to(ROOT)) for path in _imported(hash(tuple(sys.modules))) if _is_late(path))


@functools.lru_cache(maxsize=1)
def _imported(_modules: int) -> list[str]:
    """The files of ours that are imported; looked for again once another module is."""
    files = {getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if _is_ours(name)}
    return [file for file in files if file and Path(file).is_relative_to(ROOT)]


def _is_late(path: str) -> bool:
    try:
        return os.stat(path).st_ctime_ns > _STARTED
    except OSError:
        return True


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ROOMS


class _File(NamedTuple):
    """A source file, and the directory that its module's name starts from: this project's, or a plug-in's."""

    root: Path
    path: Path

    @property
    def name(self) -> str:
        """The same wherever the package is installed."""
        return str(self.path.relative_to(self.root))


def _sources(module: str) -> list[_File]:
    """The files of a module, or of a package and all below it. Raises ConfigError CODE_NO_SOURCE when there is none."""
    for root in (ROOT, *_plugin_roots(module.partition(".")[0])):
        base = root.joinpath(*module.split("."))
        if base.is_dir():
            return [_File(root, path) for path in sorted(base.rglob("*.py"))]
        if (file := base.with_suffix(".py")).is_file():
            return [_File(root, file)]
    raise ConfigError("CODE_NO_SOURCE", "no Python source is found for this module", found=module)


@functools.cache
def _plugin_roots(top: str) -> tuple[Path, ...]:
    """The directories that hold an installed top-level package or module. Finding it imports nothing."""
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a module without a spec, such as __main__
        return ()
    if spec is None:
        return ()
    held = [Path(folder) for folder in spec.submodule_search_locations or ()]
    return tuple(path.parent for path in held or ([Path(spec.origin)] if spec.has_location and spec.origin else []))


def plugin_folders() -> list[Path]:
    """The folders of the packages that offer a domain or a recipe, outside this project's rooms."""
    return [root / top for top in sorted(_plugins()) if top not in ROOMS for root in _plugin_roots(top)]


@functools.cache
def _plugins() -> frozenset[str]:
    """The top-level packages of installed domains and recipes: a recipe imports its domain's, and a teacher's."""
    offers = (entry for group in OFFERS for entry in entry_points(group=group))
    return frozenset(entry.module.partition(".")[0] for entry in offers)


@functools.cache
def _imports(file: _File, source: bytes) -> list[_File]:
    found: list[_File] = []
    package = file.path.relative_to(file.root).with_suffix("").parts[:-1]
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [p for alias in node.names for p in _module_files(alias.name, file)]
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join((*package[: len(package) - node.level + 1], node.module or "")).strip(".")
                if node.level
                else node.module
            )
            found += [p for alias in node.names for p in _module_files(f"{base}.{alias.name}", file)]
    return list(dict.fromkeys(found))


def _statements(module: ast.Module) -> Iterator[ast.AST]:
    """Every statement, at any depth. Expressions, most of a tree, hold no import."""
    pending: list[ast.AST] = [module]
    while pending:
        node = pending.pop()
        yield node
        for block in ("body", "handlers", "orelse", "finalbody", "cases"):
            pending += getattr(node, block, ())


def _module_files(name: str, importer: _File) -> list[_File]:
    """The file of ``name`` (or of the module it is an attribute of) and the ``__init__`` of every package above it.

    Nothing unless it is of this project's rooms, of a package that offers a domain or a recipe, or of the importer's
    own top-level package.
    """
    parts = name.split(".")
    own = importer.root != ROOT and parts[0] == Path(importer.name).with_suffix("").parts[0]
    if parts[0] in ROOMS:
        roots: tuple[Path, ...] = (ROOT,)
    elif own or parts[0] in _plugins():
        roots = _plugin_roots(parts[0])
    else:
        return []
    files = list[_File]()
    for root in roots:
        for end in range(1, len(parts) + 1):
            base = root.joinpath(*parts[:end])
            files += [_File(root, path) for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()]
    return files
