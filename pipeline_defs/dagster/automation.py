"""Sensors: what Dagster learns by itself while its daemon runs."""

import dagster as dg

from assets_data.lineage import StemmaError
from pipeline_defs.dagster.partitions import EMBEDDED, slices
from pipeline_defs.dagster.resources import StoreResource

MOST_AT_ONCE = 1000  # slices of one source in one tick; the next tick goes on


@dg.sensor(minimum_interval_seconds=3600, default_status=dg.DefaultSensorStatus.RUNNING)
def embedded_slices(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Register the embedded corpus's slices, so that a fresh UI offers them without a run."""
    return _registration(context, EMBEDDED, "every embedded slice is registered")


@dg.sensor(minimum_interval_seconds=300, default_status=dg.DefaultSensorStatus.RUNNING)
def http_slices(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
    """Ask every HTTP source in the store for its index, record the slices that are complete, and register them.

    Sources whose slices are cut by count or size are left to ``stemma slices add``, for cutting fetches them.
    """
    from assets_data.sources.http.source import recorded_sources

    names: set[str] = set()
    for source in recorded_sources(store.open()):
        if not (source.http.count or source.http.size):
            try:
                source.add(MOST_AT_ONCE, whole_only=True)
            except StemmaError as error:  # one server that is down does not hold up the others
                context.log.warning(f"{source.http.index_url}: {error}")
        names |= {plan.name for plan in source.ledger.slices()}
    return _registration(context, names, "no index has grown by a slice")


def _registration(
    context: dg.SensorEvaluationContext, names: set[str] | frozenset[str], otherwise: str
) -> dg.SensorResult | dg.SkipReason:
    missing = sorted(names - set(context.instance.get_dynamic_partitions(slices.name or "")))
    if not missing:
        return dg.SkipReason(otherwise)
    return dg.SensorResult(dynamic_partitions_requests=[slices.build_add_request(missing)])
