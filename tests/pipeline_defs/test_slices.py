"""A domain's partition set: standing slices are always members, others once they are registered."""

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context

from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.automation import registration_sensors
from pipeline_defs.dagster.partitions import domain_slices, standing

NAME = "text_slices"
SLICES = domain_slices(catalogue().domains["text"])
SENSOR = next(sensor for sensor in registration_sensors(catalogue()) if sensor.name == "text_standing_slices")


def test_a_run_may_name_any_slice_and_nothing_that_no_slice_can_be_called():
    with dg.DagsterInstance.ephemeral() as instance:
        for name in ("stdlib-0", "mine-0", "part_2.a"):
            assert SLICES.has_partition_key(name, dynamic_partitions_store=instance)
        for name in ("", "..", "a/b", "a b", "x" * 300):
            assert not SLICES.has_partition_key(name, dynamic_partitions_store=instance)


def test_a_fresh_instance_counts_the_standing_slices_and_those_it_was_told_of():
    with dg.DagsterInstance.ephemeral() as instance, partition_loading_context(dynamic_partitions_store=instance):
        asked = {"stdlib-0", "mine-0", "other-0"}
        assert SLICES.filter_valid_partition_keys(asked) == {"stdlib-0"}
        instance.add_dynamic_partitions(NAME, ["mine-0"])
        assert SLICES.filter_valid_partition_keys(asked) == {"stdlib-0", "mine-0"}


def test_the_sensor_registers_what_is_missing_and_then_rests():
    with dg.DagsterInstance.ephemeral() as instance:
        result = SENSOR(dg.build_sensor_context(instance=instance))
        (request,) = result.dynamic_partitions_requests
        assert set(request.partition_keys) == standing(NAME) and request.partitions_def_name == NAME
        instance.add_dynamic_partitions(NAME, sorted(standing(NAME)))
        assert isinstance(SENSOR(dg.build_sensor_context(instance=instance)), dg.SkipReason)
