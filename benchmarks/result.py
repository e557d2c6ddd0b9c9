"""Writing a benchmark's result beside the command, the versions and the commit it was measured with."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from assets_data.lineage.receipts.code import commit, environment

RESULTS = Path(__file__).parent / "results"


def save(name: str, packages: list[str], figures: dict[str, Any], variant: str = "") -> None:
    """Write and print ``results/<name>.json``, or ``results/<name>_<variant>.json``."""
    document = {
        "command": f"python -m benchmarks.{name} {' '.join(sys.argv[1:])}".strip(),
        "commit": commit()["commit"],
        "dirty": commit()["dirty"],
        "python": environment()["python"],
        "platform": environment()["platform"],
        "cores": os.cpu_count(),
        "versions": {package: version(package) for package in packages},
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{'_'.join(filter(None, (name, variant)))}.json").write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document["figures"], indent=2))
