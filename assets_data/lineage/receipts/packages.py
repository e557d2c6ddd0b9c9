"""The installed packages, as an import finds them: the environment's lock is over these.

A package can be at hand twice (``PYTHONPATH``, an editable install, a folder beside the script). The first on the path
is the one that is imported, so that is the one that is named; where what was imported came from a place that no
installed distribution owns, its files' digest stands beside the version.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from assets_data.lineage.identity.digests import digest_json
from assets_data.lineage.storage.verified import settled_digest


def installed_packages(own: Path) -> dict[str, str]:
    """Name -> version of every distribution that an import would find, and of modules imported from elsewhere.

    ``own`` is this project's checkout, which has a commit of its own. Read again when a folder on the path changes.
    """
    found, places = _distributions(_path_state())
    loose = {
        name: f"{found.get(name, 'no version')}, imported from files {_digest(base, module)}"
        for name, base, module in _loose_now(places, own)
    }
    return {**found, **loose}


def _loose_now(places: dict[str, Path], own: Path) -> list[tuple[str, Path, str]]:
    """:func:`_loose`, looked for again only once a module was imported or left out."""
    key = (hash(tuple(sys.modules)), id(places), own)
    if key not in _LOOSE:
        _LOOSE.clear()
        _LOOSE[key] = list(_loose(places, own))
    return _LOOSE[key]


_LOOSE: dict[tuple[object, ...], list[tuple[str, Path, str]]] = {}


def _path_state() -> tuple[tuple[str, int], ...]:
    """The folders on the path and when each was last written to, which installing anything does."""
    return tuple((path, os.stat(path).st_mtime_ns) for path in sys.path if path and os.path.exists(path))


@functools.lru_cache(maxsize=2)
def _distributions(_state: tuple[tuple[str, int], ...]) -> tuple[dict[str, str], dict[str, Path]]:
    """Versions and places by name; of two with a name, the first on the path."""
    versions: dict[str, str] = {}
    places: dict[str, Path] = {}
    for distribution in importlib.metadata.distributions():
        if name := distribution.metadata["Name"]:
            versions.setdefault(name.lower(), distribution.version)
            places.setdefault(name.lower(), Path(str(distribution.locate_file(""))).resolve())
    return versions, places


def _loose(places: dict[str, Path], own: Path) -> Iterator[tuple[str, Path, str]]:
    """``(distribution, folder, module)`` for imported modules that lie in a folder where no distribution is that could
    have brought them.
    """
    spelled = {_normal(name): name for name in places}
    owned = set(places.values())
    unowned: dict[str, Path] = {}
    checkout = own.resolve()
    for name, module in list(sys.modules.items()):
        if (base := _base(name, module)) is None or base == checkout or name in sys.stdlib_module_names:
            continue
        distribution = spelled.get(_normal(name))
        if distribution and places[distribution] != base:
            yield distribution, base, name
        elif not distribution and base not in owned:
            unowned[name] = base
    shadowed = _providers(tuple(sorted(places))) if unowned else {}
    for name, base in unowned.items():
        for distribution in shadowed.get(name, ()):
            yield distribution.lower(), base, name


def _base(name: str, module: object) -> Path | None:
    """The folder on the path that a top-level module was imported from."""
    file = getattr(module, "__file__", None)
    if "." in name or not isinstance(file, str) or name.startswith("__"):
        return None
    return _folder(file)


@functools.cache
def _folder(file: str) -> Path:
    path = Path(file).resolve()
    return path.parents[1] if path.name.startswith("__init__.") else path.parent


@functools.lru_cache(maxsize=2)
def _providers(_names: Collection[str]) -> dict[str, list[str]]:
    """Distributions by the modules they bring; takes a sixth of a second."""
    return dict(importlib.metadata.packages_distributions())


def _digest(base: Path, name: str) -> str:
    """Over every file of a package but what Python caches beside it, or over the module's one file."""
    folder = base / name
    files = folder.rglob("*") if folder.is_dir() else base.glob(f"{name}.*")
    own = [path for path in files if path.is_file() and "__pycache__" not in path.parts]
    digests = {str(path.relative_to(base)): settled_digest(path) for path in own}
    return digest_json({path.encode(errors="backslashreplace").decode(): digest for path, digest in digests.items()})


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
