"""``stemma jobs``: the trainings in processes of their own, as their run directories tell; needs no Dagster."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError, IntegrityError, StemmaError
from pipeline_defs.answers.answer import Answer, fault_document, plain
from pipeline_defs.answers.nodes import default_store
from training.launch import handle as handles
from training.launch.jobs import cancel, follow_log, open_log
from training.launch.jobs import jobs as found_jobs


def jobs(options: Namespace) -> Answer:
    """The answer of one action. ``status`` is a no for a job that failed or was cancelled."""
    root = default_store().root
    if options.action == "list":
        facts = [_facts(run) for run in found_jobs(root)]
        return Answer(document={"jobs": facts}, lines=[_line(fact) for fact in facts] or ["no jobs"])
    run = _chosen(root, options.run)
    if options.action == "logs" and options.follow:
        for line in follow_log(run):
            print(plain(line), flush=True)
        facts = _facts(run)
        return Answer(document=facts, lines=[_line(facts)], ok=facts["state"] == handles.State.COMPLETED)
    if options.action == "logs":
        with open_log(run) as file:
            lines = file.read().splitlines()
        return Answer(document={"run": run.name, "lines": lines}, lines=lines)
    if options.action == "cancel":
        cancel(run)
    facts = _facts(run)
    wanted = handles.State.CANCELLED if options.action == "cancel" else handles.State.COMPLETED
    running = facts["state"] in (handles.State.PENDING, handles.State.RUNNING)
    return Answer(document=facts, lines=[_line(facts)], ok=facts["state"] == wanted or running)


def _facts(run: Path) -> dict[str, Any]:
    try:
        handle = handles.read_handle(run)
        state = handles.state_of(run)
    except StemmaError as error:  # its files are damaged, or nobody here can say now: it may well run
        state = "BROKEN" if isinstance(error, IntegrityError) else "UNKNOWN"
        return {"run": run.name, "state": state, "fault": fault_document(error)}
    asked = {"processes": handle.request.processes, "submitted": handle.submitted, "launcher": handle.launcher}
    return {"run": run.name, "state": str(state), "status": handles.status_of(run), "pid": handle.pid, **asked}


def _line(facts: dict[str, Any]) -> str:
    if "fault" in facts:
        return f"{facts['state']:<10} {facts['run']}  {facts['fault']['what']}"
    return f"{facts['state']:<10} {facts['run']}  {facts['processes']} processes, submitted {facts['submitted']}"


def _chosen(root: Path, named: str | None) -> Path:
    runs = [run for run in found_jobs(root) if named and run.name.startswith(named)]
    exact = [run for run in runs if run.name == named]
    if len(exact or runs) != 1:
        what = "no job of this name" if not runs else f"{len(runs)} jobs begin like this"
        raise DataError("JOB_UNKNOWN", what, found=named, where=root / "runs", action="stemma jobs list shows them")
    return (exact or runs)[0]
