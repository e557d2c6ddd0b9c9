"""Which code and which environment: source digests per stage, the commit, the dirty diff, the installed packages.

A stage's code version covers its module and everything of this project it imports, found by reading import statements,
so an edit stales exactly the stages that could behave differently. Nothing is imported to find out.
"""

from __future__ import annotations

import ast
import functools
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage.identity.digests import digest_bytes, digest_json
from assets_data.lineage.receipts.packages import installed_packages
from assets_data.lineage.receipts.variables import bit_variables
from assets_data.lineage.receipts.working_tree import tree_state

ROOT = Path(__file__).parents[3]
ROOMS = ("assets_data", "training", "pipeline_defs")
_STARTED = time.time_ns()


@functools.cache
def code_version(*modules: str) -> str:
    """A digest over the source of ``modules`` and their import closure within this project.

    Naming a package takes in every module below it, for code that is found by discovery rather than imported.
    """
    return _source_digest(modules)


def _source_digest(modules: Iterable[str]) -> str:
    pending = [path for module in modules for path in _sources(module)]
    seen: dict[str, str] = {}
    while pending:
        path = pending.pop()
        name = str(path.relative_to(ROOT))
        if name not in seen:
            source = path.read_bytes()
            seen[name] = digest_bytes(source)
            pending += _imports(path, source)
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


def _sources(module: str) -> list[Path]:
    base = ROOT.joinpath(*module.split("."))
    if base.is_dir():
        return sorted(base.rglob("*.py"))
    return [base.with_suffix(".py")]


@functools.cache
def _imports(path: Path, source: bytes) -> list[Path]:
    found: list[Path] = []
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [p for alias in node.names for p in _module_files(alias.name)]
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join((*package[: len(package) - node.level + 1], node.module or "")).strip(".")
                if node.level
                else node.module
            )
            found += [p for alias in node.names for p in _module_files(f"{base}.{alias.name}")]
    return found


def _module_files(name: str) -> list[Path]:
    """The file of ``name`` (or of the module it is an attribute of) and the ``__init__`` of every package above it."""
    parts = name.split(".")
    if parts[0] not in ROOMS:
        return []
    files = []
    for end in range(1, len(parts) + 1):
        base = ROOT.joinpath(*parts[:end])
        files += [path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()]
    return files
