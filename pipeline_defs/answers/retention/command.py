"""``stemma gc``, ``hold`` and ``release``: what would go and why the rest stays, and doing it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from assets_data.lineage import Store
from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.nodes import default_store, find_id
from pipeline_defs.answers.retention.collect import Collection
from pipeline_defs.answers.retention.holds import place_hold, read_holds, release_hold
from pipeline_defs.answers.retention.withdrawn import Request


def collection_answer(store: Store, plan: Collection, done: dict[str, Any] | None, applied: bool) -> Answer:
    """What goes and what stays, each with its reason."""
    nodes = plan.needs.nodes
    document = {
        "goes": [{"id": key, "kind": nodes[key].kind} for key in plan.snapshots],
        "folders": [str(path) for path in plan.folders],
        "bytes": plan.bytes if not applied else 0,
        "stays": {key: plan.needs.kept[key] for key in nodes if key in plan.needs.kept},
        "applied": done,
    }
    return Answer(document=document, lines=list(_collection_lines(plan, done, applied)))


def _collection_lines(plan: Collection, done: dict[str, Any] | None, applied: bool) -> Iterator[str]:
    nodes = plan.needs.nodes
    for key, node in nodes.items():
        if node.snapshot and key in plan.needs.kept:
            yield f"  stays  {node.kind:<28}{short(key)}  {'; '.join(plan.needs.kept[key])}"
    word = "gone " if applied else "goes "
    yield from (f"  {word}  {nodes[key].kind:<28}{short(key)}" for key in plan.snapshots)
    yield from (f"  {word}  {path}" for path in plan.folders)
    if done:
        yield f"receipt {done['receipt']}"
    elif not plan.snapshots and not plan.folders:
        yield "nothing to do: everything is needed"
    elif not applied:
        yield f"{len(plan.snapshots)} snapshots, {len(plan.folders)} folders, {plan.bytes:,} bytes; `--apply` does it"


def removal_answer(plan: Request, done: dict[str, Any] | None) -> Answer:
    """What withdrawn bytes go; status 1 where something waits or text of a record was found at the end."""
    nodes = plan.needs.nodes
    document = {
        "goes": [{"id": key, "kind": nodes[key].kind} for key in plan.going],
        "waits": dict(plan.waiting),
        "applied": done,
    }
    left = done["left"] if done else []
    return Answer(document=document, lines=list(_removal_lines(plan, done)), ok=not plan.waiting and not left)


def _removal_lines(plan: Request, done: dict[str, Any] | None) -> Iterator[str]:
    nodes = plan.needs.nodes
    for key, reasons in plan.waiting.items():
        yield f"  waits  {nodes[key].kind:<28}{short(key)}  {'; '.join(reasons)}"
    yield from (f"  {'gone ' if done else 'goes '}  {nodes[key].kind:<28}{short(key)}" for key in plan.going)
    if done:
        yield f"copies removed: {len(done['copies'])}; runs forgotten in Dagster's database: {len(done['runs'])}"
        yield from (f"LEFT  {path} still says something of them" for path in done["left"])
        yield f"receipt {done['receipt']}"
    elif not plan.going:
        yield "nothing that may go holds withdrawn records"
    else:
        yield f"{len(plan.going)} snapshots, and previews and copies of what they say; `--apply` does it"


def hold(options: Namespace) -> Answer:
    """Hold a node, or list all holds."""
    store = default_store()
    if options.list or not options.node:
        holds = read_holds(store)
        lines = [f"{short(h['snapshot'])}  since {h['at']}  {h['reason']}" for h in holds] or ["no holds"]
        return Answer(document={"holds": holds}, lines=lines)
    placed = place_hold(store, find_id(options.node), options.reason)
    return Answer(document=placed, lines=[f"held, with all its ancestors: {placed['snapshot']}  {placed['reason']}"])


def release(options: Namespace) -> Answer:
    """End a hold."""
    ended = release_hold(default_store(), find_id(options.node))
    return Answer(document=ended, lines=[f"released: {ended['snapshot']}  held since {ended['at']}"])
