"""What a sealed stage may reach: its declared inputs, the code and the system it runs on, and its own folders.

Every rule has a name, so that a refusal can say which were there, and the receipt holds a digest over all of them with
paths of this run left out. Variables: an allowlist; whatever decides bits is on it, and recorded in every receipt.
"""

from __future__ import annotations

import json
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets_data.lineage import Store, digest_json
from assets_data.lineage.receipts.code import ROOMS, ROOT, plugin_folders
from assets_data.lineage.receipts.variables import bit_variables
from assets_data.lineage.storage.sealing import Outside

VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "VIRTUAL_ENV", "STEMMA_SEALED")
"""Kept besides those that decide bits; HOME and TMPDIR are the stage's own temporary folder."""
SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
)
KERNEL = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/filesystems",
    "/proc/version",
    "/proc/sys/kernel",
    "/proc/sys/vm",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
GPU = ("/proc/driver/nvidia", "/sys/module/nvidia", "/sys/bus/pci", "/sys/class/drm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Paths by what they are for. ``read`` whole folders or single files; ``list`` only their names."""

    parents: tuple[str, ...]
    outside: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    network: bool = False
    system: tuple[str, ...] = field(default_factory=lambda: system_paths())
    devices: tuple[str, ...] = field(default_factory=lambda: device_paths())

    @property
    def digest(self) -> str:
        """Over what is the same for every run of this stage on this machine: not where the store is."""
        names = sorted(Path(path).name for path in self.parents)
        return digest_json([names, list(self.outside), list(self.listed), self.network, self.system, self.devices])


def rules_of(
    store: Store, parents: Sequence[Path], outside: Outside, found: Iterable[tuple[str, str]], own: Sequence[Path]
) -> Rules:
    """Those of one build: its parents and what they name, the calls ``found`` on the way (key, snapshot), what it
    reaches ``outside``, and its ``own`` folders.
    """
    receipts = [store.root / "receipts" / path.name for path in parents]
    snapshots = [store.snapshot_path(made) for _, made in found]
    gpu = (Path("/dev"),) if any(Path("/dev").glob("nvidia*")) else ()
    return Rules(
        parents=_texts(*parents, *_named(store, parents), *receipts, *snapshots, store.root / "withdrawals"),
        outside=_texts(*outside.reads),
        listed=_texts(*outside.lists, *offer_places(), *gpu),
        own=_texts(*own, *outside.writes),
        network=outside.network,
    )


def system_paths() -> tuple[str, ...]:
    """Interpreter, installed packages, the code that code versions cover, and what libraries ask of the kernel."""
    offers = (str(info) for place in offer_places() for info in place.glob("*.dist-info"))
    kept = {path for path in (*_packages(), *offers, *SYSTEM, *KERNEL) if os.path.exists(path)}
    return tuple(sorted(kept | {str(folder) for folder in covered_folders()}))


def covered_folders() -> list[Path]:
    """The folders of this project's rooms, and of every package that offers a domain or a recipe."""
    return [*(ROOT / room for room in ROOMS), *plugin_folders()]


def offer_places() -> list[Path]:
    """The folders that plug-ins are installed in: their names are listed, to find what offers a domain or a recipe."""
    return sorted({folder.parent for folder in plugin_folders()})


def device_paths() -> tuple[str, ...]:
    """Devices that may be read and written; a GPU's where there is one."""
    gpus = [str(path) for path in (*Path("/dev").glob("nvidia*"), Path("/dev/dri"), Path("/dev/kfd")) if path.exists()]
    gpus += [path for path in GPU if os.path.exists(path)] if gpus else []
    return (*DEVICES, *sorted(gpus))


def kept_variables() -> dict[str, str]:
    """The part of this process's environment that a sealed one gets."""
    names = (*VARIABLES, *bit_variables())
    return {name: os.environ[name] for name in names if name in os.environ}


def dropped_variables(kept: Mapping[str, str]) -> list[str]:
    """Names of those it does not get."""
    return sorted(set(os.environ) - set(kept) - {"HOME", "TMPDIR"})


def _texts(*paths: Path) -> tuple[str, ...]:
    return tuple(str(path) for path in paths)


def _named(store: Store, parents: Sequence[Path]) -> Iterator[Path]:
    """What a manifest among the parents names as its members, and what their layouts name, as an index does the slices
    with its rows: the content says which, and the ids cover that.
    """
    for path in [parent for parent in parents if (parent / "manifest.json").is_file()]:
        for member in _ids_in(_document(path / "manifest.json").get("members")):
            yield store.snapshot_path(member)
            layout = _document(store.snapshot_path(member) / "layout.json")
            yield from (store.snapshot_path(key) for key in _ids_in(layout))


def _document(path: Path) -> Any:
    """A file of JSON; empty where there is none, or none that can be read: the stage itself says so."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}


def _ids_in(document: Any) -> Iterator[str]:
    """Every snapshot's id in a document, however deep."""
    if isinstance(document, str) and document.startswith("sha256:"):
        yield document
    elif isinstance(document, Mapping | list):
        for value in document.values() if isinstance(document, Mapping) else document:
            yield from _ids_in(value)


def _packages() -> Iterable[str]:
    """Where Python's own modules and installed packages are, links resolved, and the program itself."""
    paths = sysconfig.get_paths()
    yield from (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield from site.getsitepackages()
    yield from (
        path for path in sys.path if path.rstrip("/").endswith(("site-packages", "dist-packages", "lib-dynload"))
    )
    yield from (os.path.join(prefix, folder) for prefix in {sys.prefix, sys.base_prefix} for folder in ("lib", "bin"))
    yield os.path.join(sys.prefix, "pyvenv.cfg")
