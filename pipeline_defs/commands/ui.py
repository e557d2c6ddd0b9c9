"""``stemma ui`` and ``stemma dagster``: Dagster's servers and its own command, over the instance of ``stemma run``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import dagster as dg

from pipeline_defs.dagster.burial import bury_dead_runs
from pipeline_defs.dagster.runs import MODULE
from pipeline_defs.home import WORKSPACE, prepare_home, stemma_root


def dagster(arguments: Sequence[str]) -> NoReturn:
    """Become Dagster's own command, with its instance and code location those of this root."""
    os.environ["STEMMA_ROOT"] = str(stemma_root())
    prepare_home(stemma_root())
    takes_code = len(arguments) > 1 and arguments[0] in ("asset", "job", "definitions", "schedule", "sensor")
    code = ["-m", MODULE] if takes_code and not {"-m", "-w", "-f"} & set(arguments) else []
    _become_dagster([*arguments, *code])


def serve(port: int) -> NoReturn:
    """Bury what a killed tree left, then become ``dagster dev``."""
    os.environ["STEMMA_ROOT"] = str(stemma_root())
    prepare_home(stemma_root())
    with dg.DagsterInstance.get() as instance:
        for run_id in bury_dead_runs(instance):
            print(f"  run {run_id[:8]} was killed; it is ended now, and what it held is free", flush=True)
    print(f"Stemma on http://127.0.0.1:{port} (stop with Ctrl-C)", flush=True)
    address = ["-h", "127.0.0.1", "-p", str(port)]
    _become_dagster(["dev", "-w", str(WORKSPACE), *address])


def _become_dagster(arguments: Sequence[str]) -> NoReturn:
    """As a module: its script may be in another folder, where this environment sees the packages of another.

    ``-P`` as the script would have it: the working directory's modules do not stand in for ours.
    """
    os.execv(sys.executable, [sys.executable, "-P", "-m", "dagster", *arguments])
