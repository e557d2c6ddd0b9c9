"""One run of some assets in this process, as Dagster's daemon would make it: named, tagged, and of the code location.

Dagster's ``execute_in_process`` makes runs that belong to no code location: neither the timeline nor any run-status
sensor sees them, and its executor is its own. This makes ordinary runs instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import create_execution_plan, execute_run_iterator
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import make_new_run_id

from pipeline_defs.dagster.burial import alive_path
from pipeline_defs.locks import mark_alive

MODULE, LOCATION = "pipeline_defs.definitions", "stemma"  # as in settings/workspace.yaml
NOT_AGAIN = {"dagster/max_retries": "0"}  # whoever typed the command sees that it ended, and decides


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, and all its events."""

    success: bool
    events: Sequence[dg.DagsterEvent]


def execute(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    keys: Iterable[dg.AssetKey] = (),
    *,
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
    partition: str = "",
) -> Outcome:
    """Run the assets ``keys`` of a job, with their checks, for one partition or (empty) without; no keys: all of it."""
    selection, run_id = frozenset(keys) or None, make_new_run_id()
    whole, reference = InMemoryJob(job), instance.get_ref() if instance.is_persistent else None
    part = whole.get_subset(asset_selection=selection)
    with mark_alive(alive_path(run_id), f"a run of {job.name} by {command_line()}"):
        run = instance.create_run_for_job(
            job_def=part.get_definition(),
            execution_plan=create_execution_plan(part, run_config=run_config, instance_ref=reference),
            run_id=run_id,
            run_config=run_config,
            tags={**NOT_AGAIN, **tags, **({"dagster/partition": partition} if partition else {})},
            asset_selection=selection,
            remote_job_origin=_location().get_job_origin(job.name),
        )
        events = list(execute_run_iterator(whole, run, instance))
    ended = instance.get_run_by_id(run_id)
    return Outcome(ended is not None and ended.status == dg.DagsterRunStatus.SUCCESS, events)


def command_line() -> str:
    """What this process was started as, for people: ``stemma run --recipe walk_lm``."""
    name = os.path.basename(sys.argv[0])
    return " ".join(["stemma" if name == "cli.py" else name, *sys.argv[1:]])[:200]


def _location() -> RemoteRepositoryOrigin:
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE)
    return RemoteRepositoryOrigin(ManagedGrpcPythonEnvCodeLocationOrigin(target, LOCATION), "__repository__")
