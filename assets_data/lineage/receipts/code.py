"""Which code and which environment: source digests per stage, the commit, the dirty diff, the installed packages.

A stage's code version covers its module and everything of this project and its plug-ins that it imports, found by
reading import statements, so an edit stales exactly the stages that could behave differently. Nothing is imported to
find out. A plug-in is a package that offers a domain or a recipe by an entry point; where it is installed is no part
of its version.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import platform
import subprocess
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from assets_data.lineage.identity.digests import digest_bytes, digest_json

ROOT = Path(__file__).parents[3]
ROOMS = ("assets_data", "training", "pipeline_defs")
OFFERS = ("stemma.domains", "stemma.recipes")
"""The entry-point groups by which an installed package offers a domain or a recipe."""

Source = tuple[Path, str]
"""A file of ours: the folder its top-level package lies in, and its path below that."""


@functools.cache
def code_version(*modules: str) -> str:
    """A digest over the source of ``modules`` and their import closure within this project and its plug-ins.

    Naming a package takes in every module below it, for code that is found by discovery rather than imported.
    """
    pending = [source for module in modules for source in _sources(module)]
    seen: dict[str, str] = {}
    while pending:
        home, name = pending.pop()
        if name not in seen:
            seen[name] = digest_bytes((home / name).read_bytes())
            pending += _imports(home, name)
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


def _sources(module: str) -> list[Source]:
    home = _home(module.partition(".")[0])
    base = home.joinpath(*module.split("."))
    paths = sorted(base.rglob("*.py")) if base.is_dir() else [base.with_suffix(".py")]
    return [(home, str(path.relative_to(home))) for path in paths]


@functools.cache
def _imports(home: Path, name: str) -> list[Source]:
    found: list[Source] = []
    package, own = Path(name).parts[:-1], "" if home == ROOT else Path(name).with_suffix("").parts[0]
    for node in ast.walk(ast.parse((home / name).read_bytes())):
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
