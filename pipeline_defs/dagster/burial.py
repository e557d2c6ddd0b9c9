"""Ends runs whose process is gone, and frees what they held: pool slots, and places in a pool's queue.

Dagster's default launcher has no health check: a run that was killed stays STARTED for ever, holds its pool slot, and
counts against ``max_concurrent_runs``. Every process that executes a run holds a lock for it
(:mod:`pipeline_defs.locks`); a run whose lock nobody holds is dead. A run without a lock is Stemma's own to judge only
where Dagster launched it on this machine, and then by its code server and by time.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.tags import GRPC_INFO_TAG

from pipeline_defs.home import stemma_root
from pipeline_defs.locks import holder, is_dead, read_facts

START_S = 20.0  # a worker whose code server is gone may still begin
GRACE_S = 180.0  # from launch to the lock it is seconds; Dagster's own limit for a start is the same
S = dg.DagsterRunStatus
UNFINISHED = [S.NOT_STARTED, S.STARTING, S.STARTED, S.CANCELING]
LOCAL = (None, "localhost", "127.0.0.1")


def alive_path(run_id: str) -> Path:
    """The lock of one run, below the root."""
    return stemma_root() / "alive" / f"{run_id}.lock"


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End every dead run and free all slots that no living run holds; the ids of the buried."""
    buried = [
        record.dagster_run.run_id
        for record in instance.get_run_records(filters=dg.RunsFilter(statuses=UNFINISHED))
        if _bury(instance, record)
    ]
    if instance.event_log_storage.supports_global_concurrency_limits:
        for run_id in instance.event_log_storage.get_concurrency_run_ids():
            if _is_over(instance, run_id):
                instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    _remove_locks(instance)
    return buried


def _remove_locks(instance: dg.DagsterInstance) -> None:
    """Those of processes that were killed before Dagster knew of their run, or when it had ended."""
    for path in (stemma_root() / "alive").glob("*.lock"):
        if is_dead(path) and _is_over(instance, path.stem):
            path.unlink(missing_ok=True)


def _is_over(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether Dagster knows of no such run, or of its end."""
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished


def pool_holders(instance: dg.DagsterInstance, pool: str, besides: str = "") -> list[str]:
    """The runs that hold a pool's slots, each with its process and since when."""
    slots = instance.event_log_storage.get_concurrency_info(pool).claimed_slots
    return [_holder(slot.run_id) for slot in slots if slot.run_id != besides]


def _holder(run_id: str) -> str:
    path = alive_path(run_id)
    return holder(path) if read_facts(path) else f"run {run_id[:8]}"


def _bury(instance: dg.DagsterInstance, record: RunRecord) -> bool:
    path, run_id = alive_path(record.dagster_run.run_id), record.dagster_run.run_id
    facts = read_facts(path)
    dead = is_dead(path)
    if not (_launch_failed(instance, record) if dead is None else dead):
        return False
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:  # it ended while we looked
        path.unlink(missing_ok=True)
        return False
    process = f"process {facts['pid']} on {facts['host']}" if facts else "its process"
    if run.status == S.CANCELING:
        instance.report_run_canceled(run, f"{process} is gone")
    else:
        why = JobFailureData(error=None, failure_reason=RunFailureReason.UNEXPECTED_TERMINATION)
        said = f"{process} was killed. What it published stays; run again to go on from there."
        instance.report_run_failed(run, said, why)
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    path.unlink(missing_ok=True)
    return True


def _launch_failed(instance: dg.DagsterInstance, record: RunRecord) -> bool:
    """Whether a run without a lock can no more begin: its code server is gone, or it began and never took the lock.

    A run whose steps are through has none either, until it says that it ended: its log is young.
    """
    launched = record.dagster_run.tags.get(GRPC_INFO_TAG)
    if record.dagster_run.status == S.NOT_STARTED or launched is None:
        return False
    server = json.loads(launched)
    if server.get("host") not in LOCAL:
        return False
    logged = instance.get_records_for_run(record.dagster_run.run_id, limit=1, ascending=False).records
    times = [record.update_timestamp.timestamp(), *(entry.timestamp for entry in logged)]
    quiet_s = time.time() - max(times)
    return quiet_s > GRACE_S or (record.dagster_run.status != S.STARTED and quiet_s > START_S and not _listens(server))


def _listens(server: dict) -> bool:
    family, address = socket.AF_UNIX, server.get("socket")
    if address is None:
        family, address = socket.AF_INET, ("127.0.0.1", server.get("port"))
    with socket.socket(family) as client:
        client.settimeout(5)
        return client.connect_ex(address) == 0
