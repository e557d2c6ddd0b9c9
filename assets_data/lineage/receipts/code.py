"""Which code and which environment: source digests per stage, the commit, the dirty diff, the installed packages.

A stage's code version covers its module and everything of this project it imports, found by reading import statements,
so an edit stales exactly the stages that could behave differently. Nothing is imported to find out.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import platform
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from assets_data.lineage.errors import ConfigError
from assets_data.lineage.identity.digests import digest_bytes, digest_json

ROOT = Path(__file__).parents[3]
ROOMS = ("assets_data", "training", "pipeline_defs")
OFFERS = ("stemma.domains", "stemma.recipes")  # the entry points by which a package offers a domain or a recipe


@functools.cache
def code_version(*modules: str) -> str:
    """A digest over the source of ``modules`` and their import closure within this project.

    A module of an installed plug-in is covered in the same way, within its own top-level package, this project and the
    other packages that offer a domain or a recipe.
    Naming a package takes in every module below it, for code that is found by discovery rather than imported.
    """
    pending = [file for module in modules for file in _sources(module)]
    seen: dict[str, str] = {}
    while pending:
        file = pending.pop()
        if file.name not in seen:
            seen[file.name] = digest_bytes(file.path.read_bytes())
            pending += _imports(file)
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


@functools.cache
def _plugins() -> frozenset[str]:
    """The top-level packages of installed domains and recipes: a recipe imports its domain's, and a teacher's."""
    offers = (entry for group in OFFERS for entry in importlib.metadata.entry_points(group=group))
    return frozenset(entry.module.partition(".")[0] for entry in offers)


@functools.cache
def _imports(file: _File) -> list[_File]:
    found: list[_File] = []
    package = file.path.relative_to(file.root).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.path.read_bytes())):
        if isinstance(node, ast.Import):
            found += [p for alias in node.names for p in _module_files(alias.name, file)]
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join((*package[: len(package) - node.level + 1], node.module or "")).strip(".")
                if node.level
                else node.module
            )
            found += [p for alias in node.names for p in _module_files(f"{base}.{alias.name}", file)]
    return found


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
    files = []
    for root in roots:
        for end in range(1, len(parts) + 1):
            base = root.joinpath(*parts[:end])
            files += [_File(root, path) for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()]
    return files
