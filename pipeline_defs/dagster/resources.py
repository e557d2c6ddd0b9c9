"""The store as a Dagster resource, and the IO manager that keeps nothing but pointers to published snapshots."""

import typing
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
from pydantic import Field

from assets_data.lineage import Snapshot, Store
from pipeline_defs.dagster.stage_config import StageConfig
from pipeline_defs.home import stemma_root


class StoreResource(dg.ConfigurableResource):
    """Where snapshots live. An empty ``root`` means the default, read when a run starts."""

    root: str = ""

    def open(self, config: StageConfig | None = None) -> Store:
        """The store; receipts written through it name the preset and overrides of ``config``."""
        requested = {"preset": config.preset, "overrides": config.overrides} if config else {}
        return Store(Path(self.root) if self.root else stemma_root() / "store", requested)


class SnapshotIOManager(dg.ConfigurableIOManager):
    """Stores which snapshot an asset (and slice) stands for; loads by pointer and verifies every byte before use."""

    store: dg.ResourceDependency[StoreResource]
    slices: list[str] = Field(default=[], description="Slices that make up a whole; empty: every registered one.")

    def handle_output(self, context: dg.OutputContext, obj: Snapshot) -> None:
        """Point the asset, or this slice of it, at the snapshot it just published."""
        name = context.asset_key.to_user_string()
        if context.has_asset_partitions:
            name = f"{name}/{context.asset_partition_key}"
        self.store.open().point(name, obj)

    def load_input(self, context: dg.InputContext) -> Snapshot | dict[str, Snapshot]:
        """The verified snapshot; for a parameter annotated as a mapping, one per slice at hand."""
        store, name = self.store.open(), context.asset_key.to_user_string()
        if typing.get_origin(context.dagster_type.typing_type) in (dict, Mapping):
            keys = self._slices_at_hand(context, store.names(name))
            return {key: self._load(context, store, f"{name}/{key}") for key in keys}
        suffix = f"/{context.asset_partition_key}" if context.has_asset_partitions else ""
        return self._load(context, store, name + suffix)

    def _slices_at_hand(self, context: dg.InputContext, published: list[str]) -> list[str]:
        """The slices named in the run's config, else those Dagster knows; an instance without memory knows none."""
        wanted = self.slices or context.asset_partition_keys
        return [key for key in published if key in wanted or not wanted]

    def _load(self, context: dg.InputContext, store: Store, name: str) -> Snapshot:
        snapshot = store.pointed(name)
        context.log.info(f"read {name}: {snapshot.id} (verified)")
        return snapshot
