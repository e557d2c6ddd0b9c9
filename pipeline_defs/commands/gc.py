"""``stemma gc``: the store under its one lease, and Dagster's databases with it where withdrawn bytes must go."""

from __future__ import annotations

import contextlib
import os
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path
from typing import Any

from assets_data.lineage import Store
from pipeline_defs.answers.answer import Answer
from pipeline_defs.answers.nodes import default_store
from pipeline_defs.answers.retention.collect import collect, plan_collection
from pipeline_defs.answers.retention.command import collection_answer, removal_answer
from pipeline_defs.answers.retention.traces import plain_bytes
from pipeline_defs.answers.retention.withdrawn import (
    end_removal,
    plan_removal,
    remaining_traces,
    remove_copies,
    remove_withdrawn,
    unfinished_pieces,
)
from pipeline_defs.home import prepare_home, stemma_root
from pipeline_defs.locks import ROOT_LOCK, hold


def gc(options: Namespace) -> Answer:
    """What would go; with ``--apply`` it goes. Nothing moves names or finds snapshots meanwhile."""
    store = default_store()
    with contextlib.ExitStack() as stack:
        if options.apply:
            stack.enter_context(hold(stemma_root() / ROOT_LOCK, "stemma gc"))
            stack.enter_context(store.in_use(alone=True))
        if options.withdrawn:
            plan = plan_removal(store)
            return removal_answer(plan, run_removal(store, plan) if options.apply else None)
        collection = plan_collection(store, options.keep_days)
        done = collect(store, collection) if options.apply else None
        return collection_answer(store, collection, done, options.apply)


def run_removal(store: Store, plan: Any) -> dict[str, Any] | None:
    """Snapshots, copies, Dagster's history, then a search over everything; the finished receipt."""
    paths = remove_withdrawn(store, plan)
    if not paths:
        return None
    pieces = unfinished_pieces(paths)
    copies = remove_copies(store, pieces) if pieces else []
    runs = _forget(store, pieces) if pieces else []
    left = remaining_traces(store.root.parent, pieces, besides=paths) if pieces else []
    done = [end_removal(path, copies=copies, runs=runs, left=left) for path in paths]
    return {**done[-1], "receipt": ", ".join(path.stem for path in paths)}


def _forget(store: Store, pieces: Collection[bytes]) -> list[str]:
    import dagster as dg

    from pipeline_defs.dagster.history import forget_runs, rewrite_databases

    prepare_home(stemma_root())

    def shows(raw: bytes) -> bool:
        text = plain_bytes(raw)
        return any(piece in text for piece in pieces)

    with dg.DagsterInstance.get() as instance:
        runs = forget_runs(instance, shows, store)
    rewrite_databases(Path(os.environ["DAGSTER_HOME"]))
    return runs
