"""The slices' partition set: embedded slices are always members, others once they are registered."""

import dagster as dg

from pipeline_defs.dagster.automation import embedded_slices
from pipeline_defs.dagster.partitions import EMBEDDED, slices


def test_a_fresh_instance_knows_the_embedded_slices_and_no_others():
    with dg.DagsterInstance.ephemeral() as instance:
        assert slices.has_partition_key("stdlib-0", dynamic_partitions_store=instance)
        assert not slices.has_partition_key("mine-0", dynamic_partitions_store=instance)
        instance.add_dynamic_partitions("slices", ["mine-0"])
        assert slices.has_partition_key("mine-0", dynamic_partitions_store=instance)


def test_the_sensor_registers_what_is_missing_and_then_rests():
    with dg.DagsterInstance.ephemeral() as instance:
        result = embedded_slices(dg.build_sensor_context(instance=instance))
        (request,) = result.dynamic_partitions_requests
        assert set(request.partition_keys) == EMBEDDED
        instance.add_dynamic_partitions("slices", list(EMBEDDED))
        assert isinstance(embedded_slices(dg.build_sensor_context(instance=instance)), dg.SkipReason)
