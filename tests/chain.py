"""Running the real chain for tests: the ``stemma`` command in a process of its own, on the smoke preset."""

import os
import subprocess
import sys
from pathlib import Path

from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT


def environment(root: Path) -> dict[str, str]:
    """The caller's environment with everything of Stemma's and Dagster's under ``root``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("STEMMA_", "DAGSTER_"))}
    return {**kept, "STEMMA_ROOT": str(root), "OMP_NUM_THREADS": "2"}


def start_chain(root: Path, *arguments: str) -> subprocess.Popen:
    """``stemma run --preset smoke`` in one process, so that a kill reaches all of it."""
    command = [sys.executable, "-m", "pipeline_defs.commands.cli", "run", "--preset", "smoke", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run_chain(root: Path, *arguments: str) -> str:
    """Run to the end; the output. Fails the test when the exit status is not 0."""
    process = start_chain(root, *arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def stemma(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Any ``stemma`` command over ``root``, in a process of its own."""
    command = [sys.executable, "-m", "pipeline_defs.commands.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(root), capture_output=True, text=True)


def published_ids(root: Path) -> dict[str, str]:
    """Every asset (and slice) in the store and the id it stands for."""
    store = Store(root / "store")
    return {name: store.pointer(name)["snapshot"] for name in store.all_names() if not name.startswith("pins/")}
