"""Episodes of a source as a dataset, by the stages' plain functions."""

from __future__ import annotations

from collections.abc import Mapping

from assets_data.domains.episodes.config import EpisodesConfig, SourceConfig
from assets_data.domains.episodes.manifest import make_dataset_manifest
from assets_data.domains.episodes.raw_slice import make_raw_slice
from assets_data.domains.episodes.sequences import make_sequences
from assets_data.domains.episodes.source import slice_names
from assets_data.domains.episodes.statistics import make_statistics
from assets_data.lineage import Snapshot, Store


def dataset(store: Store, raw: SourceConfig, tables: EpisodesConfig) -> Snapshot:
    """The manifest of a source's settings."""
    return make_tables(store, {name: make_raw_slice(store, name, raw) for name in slice_names(raw)}, tables)


def make_tables(store: Store, slices: Mapping[str, Snapshot], tables: EpisodesConfig) -> Snapshot:
    """The manifest over slices at hand."""
    statistics = make_statistics(store, slices, tables)
    sequences = make_sequences(store, slices, statistics, tables)
    return make_dataset_manifest(store, sequences, statistics)
