"""Which code and which environment: source digests per stage, the commit, the dirty diff, the installed packages.

A stage's code version covers its module and everything of this project it imports, found by reading import statements,
so an edit stales exactly the stages that could behave differently. Nothing is imported to find out.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from assets_data.lineage.identity.digests import digest_bytes, digest_json

ROOT = Path(__file__).parents[3]
ROOMS = ("assets_data", "training", "pipeline_defs")


@functools.cache
def code_version(*modules: str) -> str:
    """A digest over the source of ``modules`` and their import closure within this project.

    Naming a package takes in every module below it, for code that is found by discovery rather than imported.
    """
    pending = [path for module in modules for path in _sources(module)]
    seen: dict[str, str] = {}
    while pending:
        path = pending.pop()
        name = str(path.relative_to(ROOT))
        if name not in seen:
            seen[name] = digest_bytes(path.read_bytes())
            pending += _imports(path)
    return digest_json(seen)


@functools.cache
def commit() -> dict[str, Any]:
    """``{"commit", "dirty", "diff"}``: the git commit, whether the tree differs, and the digest of how.

    Outside a git checkout the commit is None and the source digest of the rooms stands in for the diff.
    """
    top = _git("rev-parse", "--show-toplevel")
    head = _git("rev-parse", "HEAD") if top and Path(top.decode().strip()) == ROOT else None
    if head is None:  # not a checkout, or one of something else that merely contains these files
        return {"commit": None, "dirty": None, "diff": code_version(*ROOMS)}
    diff = _git("diff", "HEAD", "--no-ext-diff", "--no-color", "--binary") or b""
    names = (_git("ls-files", "-z", "--others", "--exclude-standard") or b"").decode().split("\0")
    extra = {name: digest_bytes((ROOT / name).read_bytes()) for name in names if name and (ROOT / name).is_file()}
    dirty = bool(diff or extra)
    changes = digest_json([digest_bytes(diff), extra]) if dirty else None
    return {"commit": head.decode().strip(), "dirty": dirty, "diff": changes}


@functools.cache
def environment() -> dict[str, Any]:
    """Interpreter, platform, and the installed distributions with a digest over them: the environment's lock."""
    packages = {dist.metadata["Name"].lower(): dist.version for dist in importlib.metadata.distributions()}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "packages": len(packages),
        "lock": digest_json(packages),
    }


def _git(*arguments: str) -> bytes | None:
    try:
        result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def _sources(module: str) -> list[Path]:
    base = ROOT.joinpath(*module.split("."))
    if base.is_dir():
        return sorted(base.rglob("*.py"))
    return [base.with_suffix(".py")]


@functools.cache
def _imports(path: Path) -> list[Path]:
    found: list[Path] = []
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_bytes())):
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
