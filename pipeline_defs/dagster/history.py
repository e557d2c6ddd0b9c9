"""What Dagster's own databases keep of snapshots: previews of rows, figures, output. Forgetting runs that show some.

A run is forgotten whole: its events, its row and its captured output. What its assets stand for now is then reported
anew from the store, so the catalogue and the partitions stay as they are. SQLite files are rewritten afterwards, as
deleted rows stay in them as free pages; on another database that is for its own VACUUM.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._serdes import serialize_value

from assets_data.lineage import Store
from assets_data.lineage.errors import StemmaError
from pipeline_defs.dagster.metadata import describe
from pipeline_defs.dagster.names import published_name

PAGE = 200


def forget_runs(instance: dg.DagsterInstance, shows: Callable[[bytes], bool], store: Store) -> list[str]:
    """Forget every finished run whose events or output say what ``shows`` knows; the ids of those runs."""
    gone, touched = [], set[tuple[dg.AssetKey, str | None]]()
    for run in instance.get_runs():
        if _shown(instance, run.run_id, shows):
            touched |= _materialized(instance, run.run_id)
            with contextlib.suppress(NotImplementedError):
                instance.compute_log_manager.delete_logs(prefix=[run.run_id])
            instance.delete_run(run.run_id)
            gone.append(run.run_id)
    for key, partition in sorted(touched, key=str):
        report_again(instance, store, key, partition)
    return gone


def rewrite_databases(folder: Path) -> list[str]:
    """VACUUM every SQLite file below a folder, journals emptied: what was deleted is then in no page of it."""
    done = []
    for path in sorted(folder.rglob("*.db")):
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("pragma wal_checkpoint(truncate)")
            database.execute("vacuum")
            database.execute("pragma wal_checkpoint(truncate)")
        done.append(path.name)
    return done


def _shown(instance: dg.DagsterInstance, run_id: str, shows: Callable[[bytes], bool]) -> bool:
    if any(shows(text) for text in _events(instance, run_id)):
        return True
    return any(shows(path.read_bytes()) for path in _output(instance, run_id))


def _events(instance: dg.DagsterInstance, run_id: str):
    cursor, more = None, True
    while more:
        page = instance.get_records_for_run(run_id, cursor=cursor, limit=PAGE)
        yield from (serialize_value(record.event_log_entry).encode() for record in page.records)
        cursor, more = page.cursor, page.has_more


def _output(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    base: Any = getattr(instance.compute_log_manager, "_base_dir", None)
    return [path for path in Path(base, run_id).rglob("*") if path.is_file()] if base else []


def _materialized(instance: dg.DagsterInstance, run_id: str) -> set[tuple[dg.AssetKey, str | None]]:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    events = [record.event_log_entry.dagster_event for record in records]
    return {(event.asset_key, event.partition) for event in events if event and event.asset_key}


def report_again(instance: dg.DagsterInstance, store: Store, key: dg.AssetKey, partition: str | None = None) -> None:
    """A materialisation of what the name stands for now; nothing where it stands for nothing."""
    with contextlib.suppress(StemmaError):
        snapshot = store.pointed(published_name(key, partition))
        tags = {"dagster/data_version": snapshot.id}
        event = dg.AssetMaterialization(asset_key=key, partition=partition, metadata=describe(snapshot), tags=tags)
        instance.report_runless_asset_event(event)
