"""Which parts of a chain went through before, checks included, and would find everything made: they need no run.

A note is written once a run succeeded. It names every snapshot and receipt of the run and the code of its checks, so
that whatever changes (a source, a config, code, a check) leads to another note, which is not there yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from assets_data.lineage import StemmaError, Store, digest_json
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.storage import atomic
from assets_data.stage import Stage
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster.names import asset_key
from pipeline_defs.inputs import read_inputs, stage_name

FOLDER = "passed"  # below the store's root


class Passed:
    """The notes of a store, for stages whose full configs are given by kind, over some slices."""

    def __init__(
        self,
        store: Store,
        known: Catalogue,
        configs: Mapping[str, Any],
        slices: Mapping[str, Sequence[str]],
        instance: dg.DagsterInstance,
    ) -> None:
        self._store, self._known, self._configs, self._instance = store, known, configs, instance
        self._finding = store.looking()
        self._slices = {name for names in slices.values() for name in names}
        self._seen: dict[str, set[str]] = {}

    def holds(self, stages: Sequence[Stage], slice_name: str) -> bool:
        """Whether these stages went through, would find everything made today, and Dagster knows of it."""
        if not self._note(stages, slice_name).is_file():
            return False
        return all(self._dagster_knows(stage, slice_name) and self._found(stage, slice_name) for stage in stages)

    def note(self, stages: Sequence[Stage], slice_name: str) -> None:
        """Write down that these stages went through."""
        atomic.write_json(self._note(stages, slice_name), [stage_name(stage, slice_name) for stage in stages])

    def _note(self, stages: Sequence[Stage], slice_name: str) -> Path:
        checks = sorted({check.run.partition(":")[0] for stage in stages for check in stage.every_check})
        names = {stage_name(stage, slice_name): self._store.pointer(stage_name(stage, slice_name)) for stage in stages}
        content = {"names": names, "checks": code_version(*checks) if checks else None}
        return self._store.root / FOLDER / f"{digest_json(content).removeprefix('sha256:')}.json"

    def _found(self, stage: Stage, slice_name: str) -> bool:
        """Whether making the stage now would find what its name stands for."""
        try:
            inputs = read_inputs(self._finding, self._known, stage, slice_name, self._slices)
            snapshot = stage.call(self._finding, inputs, self._configs.get(stage.kind), slice_name)
        except StemmaError:
            return False
        found = {"snapshot": snapshot.id, "receipt": self._store.receipt_name(snapshot)}
        return self._store.pointer(stage_name(stage, slice_name)) == found

    def _dagster_knows(self, stage: Stage, slice_name: str) -> bool:
        if stage.kind not in self._seen:
            key = asset_key(stage.kind)
            if stage.sliced:
                self._seen[stage.kind] = set(self._instance.event_log_storage.get_materialized_partitions(key))
            else:
                self._seen[stage.kind] = {""} if self._instance.get_latest_materialization_event(key) else set()
        return slice_name in self._seen[stage.kind]
