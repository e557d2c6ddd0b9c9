"""``stemma run``: the chain on Dagster's instance, then the ids, the verdict per rule, and where to look next."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from assets_data.lineage import Snapshot, Store, lease
from pipeline_defs.commands.chain import RUN_TAGS, Chain, ChainFailure, plan_chain, run_chain
from pipeline_defs.home import prepare_home, stemma_root

UNCAPTURED = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


def run(recipe: str, preset: str, settings: Mapping[str, Any]) -> int:
    """Run everything, print the summary. Returns 0 when the gate passed, 1 when a step or the gate failed."""
    chain = plan_chain(recipe, preset, settings)
    for note in chain.notes:
        print(f"  note: {note}")
    root = stemma_root()
    os.environ["STEMMA_ROOT"] = str(root)
    prepare_home(root)
    started = time.monotonic()
    failure = None
    with lease(root / "run.lock"), open_instance() as instance:
        bury_dead_runs(instance)
        try:
            run_chain(instance, chain)
        except ChainFailure as error:
            failure = str(error)
    print_summary(Store(root / "store"), chain, time.monotonic() - started, failure)
    return 1 if failure else 0


def bury_dead_runs(instance: dg.DagsterInstance) -> None:
    """End what a killed ``stemma run`` left as started, and free the pool slots it held; call with the lease held.

    Dagster keeps a dead run's slot in the ``gpu`` pool for ever, and the next run would wait for it as long.
    """
    unfinished = dg.RunsFilter(tags=RUN_TAGS, statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    for run in instance.get_runs(filters=unfinished):
        instance.report_run_failed(run, "its process was killed; `stemma run` took over from its snapshots")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def open_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME. On a terminal its capture of stdout is off, so that the progress bar is seen."""
    reference = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=UNCAPTURED if sys.stderr.isatty() else None)
    return dg.DagsterInstance.from_ref(reference)


def print_summary(store: Store, chain: Chain, seconds: float, failure: str | None) -> None:
    """Ids of every node and the gate's own words; a failure is printed last, on stderr."""
    print()
    recipe = chain.recipe
    for stage in [stage for stage in chain.stages if not stage.sliced]:
        if entry := store.pointer(stage.kind):
            print(f"  {stage.kind:<28}{entry['snapshot']}")
    if not failure or f"{recipe}/gate_report" in failure:  # a failed gate has the most to say
        print_verdict(store.pointed(f"{recipe}/gate_report"))
    words = [f"`stemma {word} {recipe}/checkpoint`" for word in ("explain", "verify")]
    following = f" Next: {', '.join(words)}, `stemma ui`." if store.pointer(f"{recipe}/checkpoint") else ""
    print(f"\n{seconds:.1f} s.{following}")
    if failure:
        print(f"\nFAILED  {failure}", file=sys.stderr)


def print_verdict(report: Snapshot) -> None:
    """The lines the recipe wrote for people when it judged."""
    print()
    for line in report.read_json("result.json")["summary"]:
        print(line)
