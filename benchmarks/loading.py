"""How long the code location takes to load, against the libraries it needs; and how fast the command answers.

Every measurement is a process of its own; the commands take turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from assets_data.lineage.receipts.code import ROOT
from benchmarks.result import save

ROUNDS = 7
COMMANDS = {
    "libraries_s": ["-c", "import dagster, polars, pandera.polars"],
    "code_location_s": ["-c", "import pipeline_defs.definitions"],
    "stemma_help_s": ["-m", "pipeline_defs.commands.cli", "--help"],
}


def seconds(arguments: list[str]) -> float:
    """Wall seconds of one Python process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure in turn and save."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    paired = zip(times["libraries_s"], times["code_location_s"], strict=True)
    more = [location - libraries for libraries, location in paired]
    save(
        "loading",
        ["dagster", "polars", "pandera", "numpy", "pyarrow"],
        {**medians, "code_location_more_s": {"median": round(statistics.median(more), 3), "max": round(max(more), 3)}},
    )


if __name__ == "__main__":
    main()
