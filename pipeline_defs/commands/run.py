"""``stemma run``: the chain on Dagster's instance, then the ids, the verdict per rule, and where to look next."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from assets_data.documents import read_result
from assets_data.lineage import Snapshot, Store
from pipeline_defs.commands.chain import Chain, plan_chain, run_chain
from pipeline_defs.commands.runs import ChainFailure
from pipeline_defs.dagster.burial import bury_dead_runs
from pipeline_defs.dagster.runs import command_line
from pipeline_defs.home import prepare_home, stemma_root
from pipeline_defs.locks import ROOT_LOCK, hold
from pipeline_defs.sealed.launch import require_landlock

UNCAPTURED = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


def run(
    recipe: str, preset: str, settings: Mapping[str, Any], wait: bool = True, how: Mapping[str, Any] | None = None
) -> int:
    """Run everything, print the summary; ``how`` are settings of the store resource. Returns 0 when the gate passed, 1
    when a step or the gate failed.

    Where another command holds the root it says which, and waits, or (``wait`` false) raises StorageError LOCK_HELD.
    """
    chain = dataclasses.replace(plan_chain(recipe, preset, settings), how=dict(how or {}))
    if chain.how.get("sealed"):
        print(f"  sealed: Landlock ABI {require_landlock()}")
    for note in chain.notes:
        print(f"  note: {note}")
    started = time.monotonic()
    failure, through = None, frozenset(stage.kind for stage in chain.stages)
    try:
        finish_chain(chain, wait)
    except ChainFailure as error:
        failure, through = str(error), error.through
    print_summary(Store(stemma_root() / "store"), chain, time.monotonic() - started, failure, through)
    return 1 if failure else 0


def finish_chain(chain: Chain, wait: bool = True) -> None:
    """Run what is not made of a chain while nothing else moves names below the root; dead runs are ended before.

    Raises ChainFailure, and as :func:`run` where another command holds the root.
    """
    root = stemma_root()
    os.environ["STEMMA_ROOT"] = str(root)
    prepare_home(root)
    with hold(root / ROOT_LOCK, command_line(), wait), open_instance() as instance:
        for run_id in bury_dead_runs(instance):
            print(f"  run {run_id[:8]} was killed; it is ended now, and what it held is free")
        run_chain(instance, chain)


def open_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME. On a terminal its capture of stdout is off, so that the progress bar is seen."""
    reference = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=UNCAPTURED if sys.stderr.isatty() else None)
    return dg.DagsterInstance.from_ref(reference)


def print_summary(store: Store, chain: Chain, seconds: float, failure: str | None, through: Collection[str]) -> None:
    """Ids of every snapshot of this run and the gate's own words; a failure is printed last, on stderr.

    What an earlier run published under the name of a stage that this one did not get ``through`` is not this run's.
    """
    print()
    recipe = chain.recipe
    kinds = [stage.kind for stage in chain.stages if not stage.sliced and stage.kind in through]
    width = max(map(len, kinds), default=0) + 2
    for kind in kinds:
        if entry := store.pointer(kind):
            print(f"  {kind:<{width}}{entry['snapshot']}")
    if not failure or f"{recipe}/gate_report" in failure:  # a failed gate has the most to say
        print_verdict(store.pointed(f"{recipe}/gate_report"))
    words = [f"`stemma {word} {recipe}/checkpoint`" for word in ("explain", "verify")]
    following = f" Next: {', '.join(words)}, `stemma ui`." if f"{recipe}/checkpoint" in through else ""
    print(f"\n{seconds:.1f} s.{following}")
    if failure:
        print(f"\nFAILED  {failure}", file=sys.stderr)


def print_verdict(report: Snapshot) -> None:
    """The lines the recipe wrote for people when it judged."""
    print()
    for line in read_result(report)["summary"]:
        print(line)
