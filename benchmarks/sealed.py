"""What sealing costs: each stage of a smoke chain sealed and not, side by side, the processes taking turns.

The difference is a process of its own, forked where the libraries are imported, the stage's modules imported again, and
the rules. Processor seconds of a build and of all that it started, so that a busy machine does not count; the first
round, in which libraries are imported on both sides, is reported as what a run pays once.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, Store
from assets_data.stage import Stage
from benchmarks.result import save
from pipeline_defs.catalogue import catalogue
from pipeline_defs.commands.chain import plan_chain
from pipeline_defs.inputs import point, read_inputs
from pipeline_defs.sealed.landlock import abi
from pipeline_defs.sealed.launch import seal

SLICE = "stdlib-0"


def processor_seconds() -> float:
    """Of this process, of the server that forks sealed ones, and of all their children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    running = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    ticks = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:15] for child in running]
    clock = sum(int(tick) for four in ticks for tick in four) / os.sysconf("SC_CLK_TCK")
    return clock + sum(usage.ru_utime + usage.ru_stime for usage in used)


def made(store: Store, stage: Stage, config: Any) -> tuple[Snapshot, float]:
    """The stage's snapshot, made now and pointed to, and what that cost."""
    name = SLICE if stage.sliced else ""
    inputs = read_inputs(store, catalogue(), stage, name, {SLICE})
    began = processor_seconds()
    snapshot = stage.call(store, inputs, config, name)
    cost = processor_seconds() - began
    point(store, stage, name, snapshot)
    return snapshot, cost


def main() -> None:
    """Two stores, stage by stage: open first, so that its libraries are imported here; then sealed; ids must agree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="walk_lm")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    chain = plan_chain(options.recipe, "smoke", {})
    extra: dict[str, list[float]] = defaultdict(list)
    first: dict[str, list[float]] = defaultdict(list)
    for number in range(options.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            plain = Store(Path(folder) / "plain" / "store")
            shut = dataclasses.replace(seal(Store(Path(folder) / "shut" / "store")))
            for stage in chain.stages:
                config = chain.config(stage)
                there, cost = made(plain, stage, config)
                inside, sealed_cost = made(shut, stage, config)
                if there.id != inside.id:
                    raise SystemExit(f"{stage.kind}: {there.id} is not {inside.id}")
                (extra if number else first)[stage.kind].append(sealed_cost - cost)
    figures = {
        "landlock_abi": abi(),
        "same_ids": len(chain.stages),
        "extra_processor_s": {kind: round(statistics.median(values), 2) for kind, values in extra.items()},
        "once_processor_s": round(sum(map(sum, first.values())) - sum(map(statistics.median, extra.values())), 2),
        "most_extra_processor_s": round(max(statistics.median(values) for values in extra.values()), 2),
    }
    save("sealed", ["numpy", "polars", "pyarrow", "torch"], figures)


if __name__ == "__main__":
    main()
