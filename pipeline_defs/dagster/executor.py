"""How a run's steps are executed: in the run's own process, which says that it is alive and does not wait mute.

Dagster's in-process executor with three differences. The process holds a lock of its own for as long as it works, so
that a killed run is known for dead (:mod:`pipeline_defs.dagster.burial`). A wait for a pool says at once who holds it
since when, buries dead holders, and ends on the first signal. And the run gets the tags that all of Stemma's runs have.
"""

from __future__ import annotations

import difflib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.definitions.executor_definition import IN_PROC_CONFIG
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import EngineEventData
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.plan.execute_plan import inner_plan_execution_iterator
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.base import Executor
from dagster._utils.interrupts import check_captured_interrupt

from assets_data.lineage import ConfigError
from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.burial import alive_path, bury_dead_runs, pool_holders
from pipeline_defs.dagster.names import op_name
from pipeline_defs.dagster.tags import tag_run
from pipeline_defs.locks import mark_alive

NAP_S = 0.1  # how soon a waiting process sees a signal
LONGEST_S = 2.0  # how soon it sees a free slot
AGAIN_S = 60.0  # how often a wait is said again


class OneProcess(Executor):
    """Executes every step in this process, one after the other."""

    @property
    def retries(self) -> RetryMode:
        """None by itself: what failed in a step fails again; a killed run is run again by Dagster's daemon."""
        return RetryMode.DISABLED

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """The events of all steps."""
        run, instance = plan_context.dagster_run, plan_context.instance
        with mark_alive(alive_path(run.run_id), f"run {run.run_id[:8]} of {run.job_name}"):
            tag_run(instance, run)
            refuse_unknown_ops(instance, run, plan_context.job.get_definition())
            facts = EngineEventData.in_process(os.getpid(), execution_plan.step_keys_to_execute)
            yield dg.DagsterEvent.engine_event(plan_context, f"Executing steps in process {os.getpid()}", facts)
            manager = PlanExecutionContextManager(
                job=plan_context.job,
                retry_mode=plan_context.retry_mode,
                execution_plan=plan_context.execution_plan,
                run_config=plan_context.run_config,
                dagster_run=run,
                instance=instance,
                raise_on_error=plan_context.raise_on_error,
                output_capture=plan_context.output_capture,
            )
            yield from ExecuteRunWithPlanIterable(plan_context.execution_plan, _steps, manager)


def refuse_unknown_ops(instance: dg.DagsterInstance, run: dg.DagsterRun, job: dg.JobDefinition) -> None:
    """Raise ConfigError RUN_CONFIG_OPS where the run's config is for ops that it does not have.

    Dagster passes over them, and the stage that was meant would be made by its default preset. Runs of a backfill share
    one config, in which each finds its own; they may hold what is for another run, under a name that there is.
    """
    config: Any = run.run_config
    chosen, here = set(config.get("ops", {})), {node.name for node in job.nodes}
    there = {op_name(stage.kind) for stage in catalogue().stages.values()}
    allowed = here | there if run.tags.get("dagster/backfill") else here
    if not (unknown := sorted(chosen - allowed)):
        return
    instance.add_run_tags(run.run_id, {"dagster/max_retries": "0"})  # it would fail again
    near = difflib.get_close_matches(unknown[0], here, 1)
    what = "this run has no such op, so its config would be for nothing"
    action = f"did you mean {near[0]}?" if near else "select the asset too, or take its config out"
    raise ConfigError("RUN_CONFIG_OPS", what, expected=f"some of {sorted(here)}", found=unknown, action=action)


def _steps(job_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
    with PoolWaits(job_context.instance, job_context.dagster_run) as waits:
        yield from inner_plan_execution_iterator(job_context, execution_plan, waits)


class PoolWaits(InstanceConcurrencyContext):
    """Claims of pool slots by the steps of one run."""

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        super().__init__(instance, run)
        self._run, self._said = run, dict[str, float]()

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Whether the step has its slot. Raises DagsterExecutionInterruptedError once a signal came."""
        if check_captured_interrupt():
            raise DagsterExecutionInterruptedError(f"ended by a signal while it waited for the pool {concurrency_key}")
        if super().claim(concurrency_key, step_key, step_priority):
            return True
        if step_key in self._pending_timeouts:
            soon = time.time() + LONGEST_S
            self._pending_timeouts[step_key] = min(soon, self._pending_timeouts[step_key])
        if time.monotonic() - self._said.get(step_key, -AGAIN_S) >= AGAIN_S:
            self._said[step_key] = time.monotonic()
            self._announce(concurrency_key, step_key)
        time.sleep(NAP_S)
        return False

    def _announce(self, pool: str, step_key: str) -> None:
        bury_dead_runs(self._instance)
        holders = pool_holders(self._instance, pool, besides=self._run.run_id)
        line = f"{step_key} waits for the pool {pool!r}, held by {'; '.join(holders) or 'nobody any more'}"
        print(f"  waiting: {line}", file=sys.stderr, flush=True)
        self._instance.report_engine_event(line, self._run)


@dg.executor(name="in_process", config_schema=IN_PROC_CONFIG)
def one_process(_context: dg.InitExecutorContext) -> OneProcess:
    """All steps in the run's own process."""
    return OneProcess()
