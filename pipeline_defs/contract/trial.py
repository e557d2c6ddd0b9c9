"""A fresh root to try things in: the real chain, real Dagster runs and real sensors, on an instance without a disk."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from assets_data.domain import Domain
from assets_data.lineage import Store
from assets_data.lineage.storage.record_rows import holds_any
from assets_data.stage import Stage
from pipeline_defs.answers.status import stand
from pipeline_defs.catalogue import catalogue
from pipeline_defs.commands.chain import Chain, plan_stages, run_chain
from pipeline_defs.commands.runs import ChainRuns
from pipeline_defs.dagster.automation import registration_sensors
from pipeline_defs.dagster.partitions import set_name
from pipeline_defs.dagster.resources import StoreResource


class Trial:
    """Close it, or use it as a context: it holds a Dagster instance."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, Store(root / "store")
        self.instance = dg.DagsterInstance.ephemeral()

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        self.instance.dispose()

    def run(self, kinds: Iterable[str], settings: Mapping[str, Any]) -> Chain:
        """Make these kinds and all their ancestors, as ``stemma run --preset smoke`` would, checks included.

        Raises ChainFailure with the first step or check that fails.
        """
        chain = plan_stages("contract", kinds, "smoke", settings)
        with self._here():
            run_chain(self.instance, chain)
        return chain

    def materialize(self, chain: Chain, stage: Stage, slice_name: str) -> None:
        """One asset alone, as the UI's button would."""
        with self._here():
            ChainRuns(instance=self.instance, chain=chain, digest="", store=self.store).whole([stage], slice_name)

    def tick(self, domain: Domain) -> None:
        """Every sensor of a domain, once; and what it finds is registered."""
        resources = {"store": StoreResource(root=str(self.store.root))}
        for sensor in registration_sensors(catalogue()):
            if sensor.name.startswith(f"{domain.name}_"):
                context = dg.build_sensor_context(instance=self.instance, resources=resources)
                found = sensor.evaluate_tick(context)
                for request in found.dynamic_partitions_requests or []:
                    self.instance.add_dynamic_partitions(set_name(domain.name), list(request.partition_keys))

    def live(self) -> dict[str, str]:
        """Every name and the id it stands for."""
        return {name: (self.store.pointer(name) or {})["snapshot"] for name in self.store.all_names()}

    def holders(self, records: Any) -> list[str]:
        """Names whose snapshot holds one of the records (uint8[n, 32], ascending)."""
        return [name for name, key in self.live().items() if holds_any(self.store.opened(key), records)]

    def stale(self) -> list[str]:
        """What ``stemma status`` says is not fresh, and why."""
        found = stand(self.store)
        return [f"{name} is stale: {standing.reasons}" for name, standing in found.items() if not standing.fresh]

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        """With this root as STEMMA_ROOT, and stages' words on stderr."""
        before = os.environ.get("STEMMA_ROOT")
        os.environ["STEMMA_ROOT"] = str(self.root)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        finally:
            if before is None:
                del os.environ["STEMMA_ROOT"]
            else:
                os.environ["STEMMA_ROOT"] = before
