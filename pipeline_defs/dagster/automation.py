"""Sensors that register and request slices, and the one that buries dead runs: what Dagster learns by itself.

Registration runs by default; whatever starts a run is off until somebody switches it on. A run's key is what it is made
of, so a tick that dies half way and is repeated requests nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from assets_data.domain import Domain
from assets_data.lineage import Store, digest_json
from assets_data.stage import load
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster import tags
from pipeline_defs.dagster.burial import UNFINISHED, bury_dead_runs
from pipeline_defs.dagster.chain_jobs import first_stages, slices_job
from pipeline_defs.dagster.dataset_jobs import dataset_job, dataset_op
from pipeline_defs.dagster.partitions import domain_slices, set_name, standing
from pipeline_defs.dagster.requests import ops_config
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.inputs import stage_name
from pipeline_defs.operations import operations

MOST_AT_ONCE = 1000  # slices of one source in one tick; the next tick goes on
IN_QUEUE = [*UNFINISHED, dg.DagsterRunStatus.QUEUED]


def registration_sensors(catalogue: Catalogue) -> list[dg.SensorDefinition]:
    """For each domain that offers them: its standing slices, and those that its recorded sources offer by now."""
    found = [_standing(domain) for domain in catalogue.domains.values() if domain.standing]
    return found + [_grown(domain) for domain in catalogue.domains.values() if domain.grown]


def _standing(domain: Domain) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{domain.name}_standing_slices",
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Registers the slices that are always there, so that a fresh UI offers them without a run.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        return _registration(context, domain, standing(set_name(domain.name)), "every standing slice is registered")

    return sensor


def _grown(domain: Domain) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{domain.name}_recorded_slices",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks every recorded source what it offers, and registers the slices that are complete by now.",
    )
    def sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
        names = _offered(context, domain, store.open())
        return _registration(context, domain, names, "no source has a slice that is not registered")

    return sensor


def _offered(context: dg.SensorEvaluationContext, domain: Domain, store: Store) -> dict[str, str]:
    states, warnings = load(domain.grown)(store, MOST_AT_ONCE)
    for warning in warnings:
        context.log.warning(warning)
    return states


def _registration(
    context: dg.SensorEvaluationContext, domain: Domain, names: Iterable[str], otherwise: str
) -> dg.SensorResult | dg.SkipReason:
    """The request to register what is missing. The tick says how many: Dagster shows a result without runs as skipped,
    with this reason.
    """
    missing = _missing(context, domain, names)
    if not missing:
        return dg.SkipReason(otherwise)
    requests = [domain_slices(domain).build_add_request(missing)]
    said = f"registered {len(missing)} slices of {domain.name}: {_shown(missing)}"
    context.log.info(said)
    return dg.SensorResult(dynamic_partitions_requests=requests, skip_reason=said)


def _missing(context: dg.SensorEvaluationContext, domain: Domain, names: Iterable[str]) -> list[str]:
    return sorted(set(names) - set(context.instance.get_dynamic_partitions(set_name(domain.name))))


def _shown(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def new_slices_sensor(known: Catalogue, jobs: Sequence[Any]) -> dg.SensorDefinition:
    """``new_slices``: registers what recorded sources offer, requests a run of each slice that is new or changed, and
    once these are through, the dataset.
    """
    domains = [domain for domain in known.domains.values() if domain.grown]

    @dg.sensor(
        name="new_slices",
        minimum_interval_seconds=operations().tick_seconds,
        jobs=jobs,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Fires when an index grew or local files appeared or changed: makes them, then the dataset.",
    )
    def new_slices(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
        cursor: dict[str, Any] = json.loads(context.cursor or "{}")
        requests, partitions, said = [], [], []
        for domain in domains:
            seen = cursor.setdefault(domain.name, {"slices": {}, "dataset": ""})
            states = _offered(context, domain, store.open())
            if missing := _missing(context, domain, states):
                partitions.append(domain_slices(domain).build_add_request(missing))
            asked = _next(seen, states)
            requests += [_slice_run(known, domain, name, state) for name, state in asked.items()]
            if not asked and states and not _busy(context.instance, domain):
                requests += _dataset_run(domain, seen, sorted(states), store.open())
            said.append(f"{domain.name}: {len(missing)} registered, {len(asked)} slices requested")
        context.log.info("; ".join(said))
        reason = None if requests else f"nothing new ({'; '.join(said)})"
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=partitions,
            cursor=json.dumps(cursor),
            skip_reason=reason,
        )

    return new_slices


def _next(seen: dict[str, Any], states: Mapping[str, str]) -> dict[str, str]:
    """The slices to request now, and noted as requested: as many as a tick may."""
    new = {name: state for name, state in sorted(states.items()) if seen["slices"].get(name) != state}
    asked = dict(list(new.items())[: operations().slices_per_tick])
    seen["slices"] |= asked
    return asked


def _slice_run(known: Catalogue, domain: Domain, name: str, state: str) -> dg.RunRequest:
    key = f"{domain.name}/{name}:{state}"
    return dg.RunRequest(
        run_key=key,
        job_name=slices_job(domain.name),
        partition_key=name,
        run_config={"ops": ops_config(known, first_stages(known, domain.name))},
        tags={tags.CHAIN: digest_json(key).removeprefix("sha256:")[:12], tags.PRESET: operations().preset},
    )


def _dataset_run(domain: Domain, seen: dict[str, Any], names: list[str], store: Store) -> list[dg.RunRequest]:
    """The run of the dataset over the slices that are made, unless it was requested for just these."""
    made = {name: entry["snapshot"] for name in names if (entry := store.pointer(stage_name(domain.source, name)))}
    key = digest_json({"slices": made, "settings": dict(operations().settings), "preset": operations().preset})
    if not made or key == seen["dataset"]:
        return []
    seen["dataset"] = key
    short = key.removeprefix("sha256:")[:12]
    config = {"ops": {dataset_op(domain.name): {"config": {"slices": sorted(made)}}}}
    chain = {tags.CHAIN: short, tags.PRESET: operations().preset}
    return [
        dg.RunRequest(
            run_key=f"{domain.name}/dataset:{short}", job_name=dataset_job(domain.name), run_config=config, tags=chain
        )
    ]


def _busy(instance: dg.DagsterInstance, domain: Domain) -> bool:
    """Whether a run of the domain's slices or dataset is still under way or waits for its turn."""
    jobs = (slices_job(domain.name), dataset_job(domain.name))
    return any(instance.get_runs(dg.RunsFilter(job_name=job, statuses=IN_QUEUE), limit=1) for job in jobs)


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process was killed and frees the pool slots and queue places that they held.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Every half minute: what ``stemma ui`` and ``stemma run`` also do as they start."""
    buried = bury_dead_runs(context.instance)
    return dg.SkipReason(f"ended {', '.join(buried)}: killed" if buried else "no run is dead")
