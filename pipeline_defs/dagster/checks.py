"""Asset checks, made from the declarations. Blocking ones stop what lies downstream; each can also be run alone."""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets_data.lineage import Snapshot, Store
from assets_data.stage import Check, Stage, load
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster.metadata import escape, rounded
from pipeline_defs.dagster.names import asset_key
from pipeline_defs.dagster.partitions import domain_slices
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.inputs import stage_name

SHOWN = 20

# Checks per slice are a preview feature of the pinned Dagster; the pin is what keeps it still.
warnings.filterwarnings("ignore", category=dg.PreviewWarning, message="Specifying a partitions_def")


def stage_checks(catalogue: Catalogue) -> list[dg.AssetChecksDefinition]:
    """The schema and every other check of all stages that are assets."""
    return [
        _asset_check(catalogue, stage, check)
        for stage in catalogue.stages.values()
        if not stage.on_request
        for check in stage.every_check
    ]


def _asset_check(catalogue: Catalogue, stage: Stage, check: Check) -> dg.AssetChecksDefinition:
    domain = catalogue.sliced_by(stage)

    @dg.asset_check(
        asset=asset_key(stage.kind),
        name=check.name,
        blocking=True,
        partitions_def=domain_slices(domain) if domain else None,
        description=check.says,
    )
    def run(context: dg.AssetCheckExecutionContext, store: StoreResource) -> Any:  # events; the type has one result
        shelf = store.open()
        if not (stage.sliced and context.has_partition_key_range):
            slice_name = context.partition_key if stage.sliced else ""
            yield dg.AssetCheckResult(**evaluated(check, shelf, shelf.pointed(stage_name(stage, slice_name))))
            return
        for slice_name in context.partition_keys:
            yield evaluation(check, shelf, stage, slice_name)
        yield dg.Output(None)  # that the step is through

    return run


def evaluation(check: Check, store: Store, stage: Stage, slice_name: str) -> dg.AssetCheckEvaluation:
    """The event of one slice in a run of many."""
    told = evaluated(check, store, store.pointed(stage_name(stage, slice_name)))
    return dg.AssetCheckEvaluation(
        asset_key=asset_key(stage.kind), check_name=check.name, partition=slice_name, blocking=True, **told
    )


def evaluated(check: Check, store: Store, snapshot: Snapshot) -> dict[str, Any]:
    """Run a check: whether it ``passed``, ``severity``, ``metadata`` and, where it failed, a ``description``."""
    outcome = load(check.run)(store, snapshot)
    return {
        "passed": outcome.passed,
        "severity": dg.AssetCheckSeverity.WARN if outcome.warning else dg.AssetCheckSeverity.ERROR,
        "metadata": {**_facts(outcome.facts), **_failures(outcome.failures)},
        "description": _why(outcome.failures) if not outcome.passed else None,
    }


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as numbers, rounded for people, so that a check's history is a plot."""
    return {name: rounded(value) if isinstance(value, float) else value for name, value in facts.items()}


def _failures(failures: Any) -> dict[str, Any]:
    shown = [{key: escape(str(value)) for key, value in failure.items()} for failure in failures[:SHOWN]]
    return {"first": dg.MetadataValue.json(shown)} if shown else {}


def _why(failures: Any) -> str:
    """The failures, a line each, and how many more there are."""
    lines = ["; ".join(f"{k}: {v}" for k, v in failure.items() if v not in (None, "")) for failure in failures[:SHOWN]]
    more = [f"and {len(failures) - SHOWN} more"] if len(failures) > SHOWN else []
    return "\n".join([*lines, *more]) or "it says no more than its numbers"
