"""What a run made itself, and the runs it was started in place of: two runs of one recipe move the same names, and each
goes on from its own preflight, also where another run executes the rest of a killed one.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from assets_data.lineage import Snapshot
from pipeline_defs.dagster.names import published_name
from pipeline_defs.inputs import Own

WITHDRAWN = "withdrawn_records"
"""Metadata of a materialisation: how many records were withdrawn by then; left out where none was."""

_MADE: dict[str, dict[str, tuple[Own, int]]] = {}  # run -> published name -> what it made, and WITHDRAWN


def made_by(instance: dg.DagsterInstance, run: dg.DagsterRun, withdrawn: int) -> dict[str, Own]:
    """Published name -> what stands for it in this run, whoever moved the name since, now that so many records are
    withdrawn. What was made before the last withdrawal does not: what stands now was made without those records.
    """
    return {name: own for name, (own, then) in _made(instance, run).items() if then == withdrawn}


def note_made(instance: dg.DagsterInstance, run: dg.DagsterRun, name: str, snapshot: Snapshot, withdrawn: int) -> None:
    """Remember what the run has made under a name, when so many records were withdrawn."""
    _made(instance, run)[name] = Own(snapshot.id, snapshot.receipt), withdrawn


def _made(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, tuple[Own, int]]:
    if run.run_id not in _MADE:
        _MADE[run.run_id] = _made_before(instance, run)
    return _MADE[run.run_id]


def _made_before(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, tuple[Own, int]]:
    """What the run's parent and that one's parents made, as their event logs say; the latest stands."""
    parent = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
    if parent is None:
        return {}
    made = _made_before(instance, parent)
    for entry in instance.all_logs(parent.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = entry.asset_materialization
        if event and {"id", "receipt"} <= event.metadata.keys():
            made[published_name(event.asset_key, event.partition)] = _told(event)
    return made


def _told(event: dg.AssetMaterialization) -> tuple[Own, int]:
    facts = {name: str(event.metadata[name].value) for name in ("id", "receipt")}
    withdrawn = event.metadata.get(WITHDRAWN)
    return Own(facts["id"], Path(facts["receipt"])), int(str(withdrawn.value)) if withdrawn else 0
