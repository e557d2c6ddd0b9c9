"""Sensors: what Dagster learns by itself while its daemon runs."""

import dagster as dg

from pipeline_defs.slices import EMBEDDED, slices


@dg.sensor(minimum_interval_seconds=3600, default_status=dg.DefaultSensorStatus.RUNNING)
def embedded_slices(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Register the embedded corpus's slices, so that a fresh UI offers them without a run."""
    missing = sorted(EMBEDDED - set(context.instance.get_dynamic_partitions(slices.name or "")))
    if not missing:
        return dg.SkipReason("every embedded slice is registered")
    return dg.SensorResult(dynamic_partitions_requests=[slices.build_add_request(missing)])
