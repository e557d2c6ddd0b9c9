"""Sensors: what Dagster learns by itself while its daemon runs."""

from collections.abc import Iterable

import dagster as dg

from assets_data.domain import Domain
from assets_data.stage import load
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster.burial import bury_dead_runs
from pipeline_defs.dagster.partitions import domain_slices, set_name, standing
from pipeline_defs.dagster.resources import StoreResource

MOST_AT_ONCE = 1000  # slices of one source in one tick; the next tick goes on


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
        description="Asks every recorded source for its index, and registers the slices that are complete by now.",
    )
    def sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
        names, warnings = load(domain.grown)(store.open(), MOST_AT_ONCE)
        for warning in warnings:
            context.log.warning(warning)
        return _registration(context, domain, names, "no index has grown by a slice")

    return sensor


def _registration(
    context: dg.SensorEvaluationContext, domain: Domain, names: Iterable[str], otherwise: str
) -> dg.SensorResult | dg.SkipReason:
    missing = sorted(set(names) - set(context.instance.get_dynamic_partitions(set_name(domain.name))))
    if not missing:
        return dg.SkipReason(otherwise)
    return dg.SensorResult(dynamic_partitions_requests=[domain_slices(domain).build_add_request(missing)])


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process was killed and frees the pool slots and queue places that they held.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Every half minute: what ``stemma ui`` and ``stemma run`` also do as they start."""
    buried = bury_dead_runs(context.instance)
    return dg.SkipReason(f"ended {', '.join(buried)}: killed" if buried else "no run is dead")
