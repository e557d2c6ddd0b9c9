"""``stemma ui``: web server, daemon and code server of Dagster on 127.0.0.1, over the instance of ``stemma run``."""

from __future__ import annotations

import os
import sys

import dagster as dg

from pipeline_defs.dagster.burial import bury_dead_runs
from pipeline_defs.home import WORKSPACE, prepare_home, stemma_root


def serve(port: int) -> int:
    """Bury what a killed tree left, then become ``dagster dev``."""
    os.environ["STEMMA_ROOT"] = str(stemma_root())
    prepare_home(stemma_root())
    with dg.DagsterInstance.get() as instance:
        for run_id in bury_dead_runs(instance):
            print(f"  run {run_id[:8]} was killed; it is ended now, and what it held is free", flush=True)
    print(f"Stemma on http://127.0.0.1:{port} (stop with Ctrl-C)", flush=True)
    address = ["-h", "127.0.0.1", "-p", str(port)]
    dagster = os.path.join(os.path.dirname(sys.executable), "dagster")
    os.execv(dagster, [dagster, "dev", "-w", str(WORKSPACE), *address])
