"""Slices as Dagster partitions: a dynamic set named ``slices``; the embedded source's are always members."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import dagster as dg

from assets_data.sources.config import demo
from assets_data.sources.sources import slice_names

EMBEDDED = frozenset(slice_names(demo()))


class SlicePartitions(dg.DynamicPartitionsDefinition):
    """Dynamic partitions that a fresh Dagster instance, or none, already knows the embedded slices of.

    So ``dagster asset materialize --partition stdlib-0`` works in a fresh checkout; the asset then registers its slice.
    """

    def has_partition_key(self, partition_key, current_time=None, dynamic_partitions_store=None) -> bool:
        """True for an embedded slice, else what the instance says."""
        return partition_key in EMBEDDED or super().has_partition_key(
            partition_key, current_time, dynamic_partitions_store
        )

    def filter_valid_partition_keys(self, partition_keys: set[str]) -> AbstractSet[str]:
        """The embedded slices among the keys, and those the instance knows."""
        embedded = partition_keys & EMBEDDED
        return embedded | super().filter_valid_partition_keys(partition_keys - embedded)


slices = SlicePartitions(name="slices")
