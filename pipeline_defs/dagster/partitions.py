"""Slices as Dagster partitions: one dynamic set per domain; a domain's standing slices are always members of it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import dagster as dg

from assets_data.domain import Domain
from assets_data.lineage.storage.names import is_name
from assets_data.stage import load


class SlicePartitions(dg.DynamicPartitionsDefinition):
    """Dynamic partitions of which a fresh Dagster instance, or none, already knows the standing slices.

    A run may name any slice: ``dagster asset materialize --partition files-0`` works in a fresh checkout. The source
    stage registers it, or refuses it by name (SLICE_UNKNOWN) where its source has no such slice.
    """

    def has_partition_key(self, partition_key, current_time=None, dynamic_partitions_store=None) -> bool:
        """True for whatever could be a slice's name."""
        return is_name(partition_key) and "/" not in partition_key

    def filter_valid_partition_keys(self, partition_keys: set[str]) -> AbstractSet[str]:
        """The standing slices among the keys, and those the instance knows."""
        always = partition_keys & standing(self.name or "")
        return always | super().filter_valid_partition_keys(partition_keys - always)


def register_slices(instance: dg.DagsterInstance, domain: str, names: Iterable[str]) -> None:
    """Add what an instance does not know yet, a thousand at a time: a database takes so many in one statement."""
    missing = sorted(set(names) - set(instance.get_dynamic_partitions(set_name(domain))))
    for begin in range(0, len(missing), 1000):
        instance.add_dynamic_partitions(set_name(domain), missing[begin : begin + 1000])


def set_name(domain: str) -> str:
    """The name of a domain's dynamic partition set."""
    return f"{domain}_slices"


@functools.cache
def standing(name: str) -> frozenset[str]:
    """The slices of a partition set that are always there."""
    from pipeline_defs.catalogue import catalogue

    for domain in catalogue().domains.values():
        if set_name(domain.name) == name and domain.standing:
            return frozenset(load(domain.standing)())
    return frozenset()


def domain_slices(domain: Domain) -> SlicePartitions:
    """The partitions of a domain's sliced stages."""
    return SlicePartitions(name=set_name(domain.name))
