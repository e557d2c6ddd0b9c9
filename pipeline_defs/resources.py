"""The store as a Dagster resource, and the IO manager that keeps nothing but pointers to published snapshots."""

import os
import typing
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from assets_data.lineage import Snapshot, Store
from pipeline_defs.stage_config import StageConfig


def stemma_root() -> Path:
    """``STEMMA_ROOT``, or ``.stemma`` under the working directory: the store and Dagster's state live below it."""
    return Path(os.environ.get("STEMMA_ROOT") or ".stemma").absolute()


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

    def handle_output(self, context: dg.OutputContext, obj: Snapshot) -> None:
        """Point the asset, or this slice of it, at the snapshot it just published."""
        name = context.asset_key.to_user_string()
        if context.has_asset_partitions:
            name = f"{name}/{context.asset_partition_key}"
        self.store.open().point(name, obj)

    def load_input(self, context: dg.InputContext) -> Snapshot | dict[str, Snapshot]:
        """The verified snapshot; for a parameter annotated as a mapping, those of all slices at hand, by slice."""
        store, name = self.store.open(), context.asset_key.to_user_string()
        if typing.get_origin(context.dagster_type.typing_type) in (dict, Mapping):
            return {key: self._load(context, store, f"{name}/{key}") for key in store.names(name)}
        suffix = f"/{context.asset_partition_key}" if context.has_asset_partitions else ""
        return self._load(context, store, name + suffix)

    def _load(self, context: dg.InputContext, store: Store, name: str) -> Snapshot:
        snapshot = store.pointed(name)
        context.log.info(f"read {name}: {snapshot.id} (verified)")
        return snapshot
