"""A domain's partition set: standing slices are always members, others once they are registered."""

import dagster as dg

from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.automation import registration_sensors
from pipeline_defs.dagster.partitions import domain_slices, standing

NAME = "text_slices"
SLICES = domain_slices(catalogue().domains["text"])
SENSOR = next(sensor for sensor in registration_sensors(catalogue()) if sensor.name == "text_standing_slices")


def test_a_fresh_instance_knows_the_standing_slices_and_no_others():
    with dg.DagsterInstance.ephemeral() as instance:
        assert SLICES.has_partition_key("stdlib-0", dynamic_partitions_store=instance)
        assert not SLICES.has_partition_key("mine-0", dynamic_partitions_store=instance)
        instance.add_dynamic_partitions(NAME, ["mine-0"])
        assert SLICES.has_partition_key("mine-0", dynamic_partitions_store=instance)


def test_the_sensor_registers_what_is_missing_and_then_rests():
    with dg.DagsterInstance.ephemeral() as instance:
        result = SENSOR(dg.build_sensor_context(instance=instance))
        (request,) = result.dynamic_partitions_requests
        assert set(request.partition_keys) == standing(NAME) and request.partitions_def_name == NAME
        instance.add_dynamic_partitions(NAME, sorted(standing(NAME)))
        assert isinstance(SENSOR(dg.build_sensor_context(instance=instance)), dg.SkipReason)
