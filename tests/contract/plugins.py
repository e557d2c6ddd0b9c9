"""Three plug-ins as a person makes them: a domain, a recipe on it, and a recipe that reads the first one's checkpoint.

Written by ``stemma new``, installed by pip into a folder of their own, used by processes that have it on their path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assets_data.lineage.receipts.code import ROOT
from tests.chain import environment

SLICES = ("north", "south")
ROWS, GROUPS = 150, 30


@dataclass(frozen=True)
class Plugins:
    """``folder`` holds the packages' sources, and ``site`` what pip installed."""

    folder: Path
    site: Path

    def environment(self, root: Path) -> dict[str, str]:
        """Variables of a process over ``root`` that finds the checkout and the plug-ins."""
        return environment(root) | {"PYTHONPATH": f"{ROOT}{os.pathsep}{self.site}"}

    def python(self, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A Python process in the checkout's folder."""
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment(root), capture_output=True, text=True)

    def stemma(self, root: Path, *arguments: str) -> str:
        """The output of a ``stemma`` command that must end with status 0."""
        result = self.python(root, "-m", "pipeline_defs.commands.cli", *arguments)
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
        return result.stdout

    def run(self, root: Path, csv: Path, *settings: str) -> str:
        """``stemma run --recipe second`` over a folder of CSV files."""
        chosen = [part for setting in (f"toy.raw_slice.root={csv}", *settings) for part in ("--set", setting)]
        return self.stemma(root, "run", "--recipe", "second", "--preset", "smoke", *chosen)

    def install(self, *names: str) -> None:
        """What a person does next, without a network."""
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "install", *options, "--upgrade", "--target", str(self.site)]
        packages = [str(self.folder / name) for name in names]
        result = subprocess.run([*command, *packages], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-3000:]

    def copied(self, folder: Path) -> Plugins:
        """The same in another place, to be broken there."""
        shutil.copytree(self.site, folder / "site")
        return Plugins(self.folder, folder / "site")


def make_plugins(folder: Path) -> Plugins:
    """Write and install all three; each is there before the next one, which names it."""
    plugins, root = Plugins(folder, folder / "site"), folder / "no-root"
    plugins.stemma(root, "new", "domain", "toy", str(folder))
    plugins.install("toy")
    plugins.stemma(root, "new", "recipe", "first", str(folder))
    plugins.install("first")
    plugins.stemma(root, "new", "recipe", "second", str(folder), "--domain", "toy", "--parent", "first")
    plugins.install("second")
    return plugins


def write_csv(folder: Path, left_out: Collection[str] = ()) -> Path:
    """Two files of a curved relation; ``left_out`` are lines, or beginnings of lines, that were never there."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    for name in SLICES:
        a, b, c = np.round(random.uniform(-1.5, 1.5, (3, ROWS)), 3)
        y = np.round(np.sin(2 * a) + b * c, 3)
        lines = [f"g{i % GROUPS:02},{a[i]},{b[i]},{c[i]},{y[i]}" for i in range(ROWS)]
        kept = [line for line in lines if not line.startswith(tuple(left_out))]
        (folder / f"{name}.csv").write_text("\n".join(["group,a,b,c,y", *kept, ""]))
    return folder


def tree_digest() -> str:
    """A digest over every file of the checkout but caches and what begins with a dot."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(
            f for f in folders if not f.startswith((".", "__pycache__")) and not f.endswith(".egg-info")
        )
        for name in sorted(f for f in files if not f.startswith(".")):
            digest.update(str(Path(folder, name)).encode() + b"\0" + Path(folder, name).read_bytes())
    return digest.hexdigest()
