"""The store as a Dagster resource, and the IO manager that keeps nothing but pointers to published snapshots."""

from pathlib import Path
from typing import Literal

import dagster as dg
from pydantic import Field

from assets_data.lineage import Snapshot, Store
from pipeline_defs.dagster.partitions import set_name
from pipeline_defs.dagster.stage_config import StageConfig
from pipeline_defs.home import stemma_root
from pipeline_defs.inputs import read_slice_set
from pipeline_defs.sealed.launch import seal


class StoreResource(dg.ConfigurableResource):
    """Where snapshots live. An empty ``root`` means the default, read when a run starts."""

    root: str = ""
    slice_set: str = Field(
        default="", description="Digest of the slices that make up a whole; empty: every registered one."
    )

    sealed: bool = Field(
        default=False, description="Build every stage in a process that can read what it declared and nothing else."
    )

    launcher: Literal["inline", "torchrun", "pipes", "ray", "slurm"] = Field(
        default="inline", description="Where checkpoints are trained: in the run's own process, or in a job."
    )

    processes: int = Field(default=1, description="Processes of a job; a power of two that divides train.lanes.")

    parallel: Literal["ddp", "fsdp"] = Field(
        default="ddp", description="Whether each process of a job has the whole model, or its rows of it."
    )

    def open(self, config: StageConfig | None = None) -> Store:
        """The store; receipts written through it name the preset and overrides of ``config``.

        Raises ConfigError SEAL_UNAVAILABLE where stages are to be sealed and this kernel cannot.
        """
        requested = {"preset": config.preset, "overrides": config.overrides} if config else {}
        store = Store(Path(self.root) if self.root else stemma_root() / "store", requested)
        return seal(store) if self.sealed else store

    def slices(self, domain: str, instance: dg.DagsterInstance) -> list[str]:
        """The slices of a domain that make up a whole: those of the set that the run's config names, else those that
        Dagster knows; an instance without memory knows none, and then all that were published do.
        """
        if self.slice_set:
            return read_slice_set(self.open(), self.slice_set).get(domain, [])
        known = list(instance.get_dynamic_partitions(set_name(domain)))
        return known or self.open().names(f"{domain}/{_source_name(domain)}")


class SnapshotIOManager(dg.ConfigurableIOManager):
    """Stores which snapshot an asset (and slice) stands for; loads by pointer and verifies the bytes before use.

    Assets of your own may take a ``Snapshot`` of any stage as an input.
    """

    store: dg.ResourceDependency[StoreResource]

    def handle_output(self, context: dg.OutputContext, obj: Snapshot) -> None:
        """Point the asset, or this slice of it, at the snapshot it just published."""
        self.store.open().point(_name(context), obj)

    def load_input(self, context: dg.InputContext) -> Snapshot:
        """The verified snapshot."""
        return self.store.open().pointed(_name(context))


def _name(context: dg.OutputContext | dg.InputContext) -> str:
    name = context.asset_key.to_user_string()
    return f"{name}/{context.asset_partition_key}" if context.has_asset_partitions else name


def _source_name(domain: str) -> str:
    from pipeline_defs.catalogue import catalogue

    return catalogue().domains[domain].source.name
