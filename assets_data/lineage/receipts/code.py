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
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from assets_data.lineage.identity.digests import digest_bytes, digest_json
from assets_data.lineage.receipts.packages import installed_packages
from assets_data.lineage.receipts.variables import bit_variables
from assets_data.lineage.receipts.working_tree import tree_state

ROOT = Path(__file__).parents[3]
ROOMS = ("assets_data", "training", "pipeline_defs")
OFFERS = ("stemma.domains", "stemma.recipes")
"""The entry-point groups by which an installed package offers a domain or a recipe."""

Source = tuple[Path, str]
"""A file of ours: the folder its top-level package lies in, and its path below that."""

_STARTED = time.time_ns()


@functools.cache
def code_version(*modules: str) -> str:
    """A digest over the source of ``modules`` and their import closure within this project and its plug-ins.

    Naming a package takes in every module below it, for code that is found by discovery rather than imported.
    """
    return _source_digest(modules)


def _source_digest(modules: Iterable[str]) -> str:
    pending = [source for module in modules for source in _sources(module)]
    seen: dict[str, str] = {}
    while pending:
        home, name = pending.pop()
        if name not in seen:
            source = (home / name).read_bytes()
            seen[name] = digest_bytes(source)
            pending += _imports(home, name, source)
    return digest_json(seen)


@functools.cache
def commit() -> dict[str, Any]:
    """``{"commit", "dirty", "diff"}`` as this process first saw it: what it imported, apart from what
    :func:`changes_since` says was touched. Ask before the work, not after it.

    Outside a git checkout the commit is None and the source digest of the rooms stands in for the diff.
    """
    return _commit_now()


def environment() -> dict[str, Any]:
    """Interpreter, platform, the packages as imported with a digest over them (the environment's lock), and the
    variables that decide bits."""
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
    files = {getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if _is_ours(name)}
    paths = [Path(file) for file in files if file and Path(file).is_relative_to(ROOT)]
    late = (path for path in paths if not path.exists() or path.stat().st_ctime_ns > _STARTED)
    return sorted(str(path.relative_to(ROOT)) for path in late)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ROOMS


def _sources(module: str) -> list[Source]:
    home = _home(module.partition(".")[0])
    base = home.joinpath(*module.split("."))
    paths = sorted(base.rglob("*.py")) if base.is_dir() else [base.with_suffix(".py")]
    return [(home, str(path.relative_to(home))) for path in paths]


@functools.cache
def _imports(home: Path, name: str, source: bytes) -> list[Source]:
    found: list[Source] = []
    package, own = Path(name).parts[:-1], "" if home == ROOT else Path(name).with_suffix("").parts[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [source for alias in node.names for source in _module_files(alias.name, own)]
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join((*package[: len(package) - node.level + 1], node.module or "")).strip(".")
                if node.level
                else node.module
            )
            found += [source for alias in node.names for source in _module_files(f"{base}.{alias.name}", own)]
    return found


def _module_files(name: str, own: str) -> list[Source]:
    """The file of ``name`` (or of the module it is an attribute of) and the ``__init__`` of every package above it.

    None of a stranger's package: ours are the rooms, the plug-ins, and ``own``, the package of the importing file where
    that is not of the checkout.
    """
    parts = name.split(".")
    if parts[0] not in ROOMS and parts[0] != own and parts[0] not in _plugins():
        return []
    files: list[Path] = []
    home = _home(parts[0])
    for end in range(1, len(parts) + 1):
        base = home.joinpath(*parts[:end])
        files += [path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()]
    return [(home, str(path.relative_to(home))) for path in files]


@functools.cache
def _plugins() -> frozenset[str]:
    """The top-level packages of installed domains and recipes."""
    return frozenset(entry.module.partition(".")[0] for group in OFFERS for entry in entry_points(group=group))


def _home(package: str) -> Path:
    """The folder that a top-level package lies in: the checkout, else where it is installed."""
    if package in ROOMS or (ROOT / package).is_dir():
        return ROOT
    return _installed(package) or ROOT


@functools.cache
def _installed(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if places:
        return Path(places[0]).parent
    return Path(spec.origin).parent if spec and spec.origin else None
