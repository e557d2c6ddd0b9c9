"""``stemma diff``: what differs between two nodes: data, config, code, environment, metrics."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from assets_data.documents import read_facts, read_result
from assets_data.lineage import IntegrityError, Snapshot
from assets_data.lineage.queries.freshness import differing
from assets_data.lineage.queries.tree import Node, load_tree, published_by
from assets_data.lineage.receipts.receipt import Receipt
from pipeline_defs.answers.answer import Answer, short
from pipeline_defs.answers.nodes import default_store, find_id

TITLES = ("identity", "data", "config", "code", "environment", "metrics")


def diff(options: Namespace) -> Answer:
    """Section -> lines; status 1 when anything but the moment differs."""
    ids = [find_id(options.a), find_id(options.b)]
    tree = load_tree(default_store(), ids)
    a, b = (tree[key] for key in ids)
    sections = {title: list(lines) for title, lines in _sections(a, b, tree).items()}
    lines = [f"{a.kind} {short(a.id)}  against  {b.kind} {short(b.id)}"]
    for title, found in sections.items():
        lines += [f"{title:<12}{line}" for line in found] or [f"{title:<12}the same"]
    same = not any(sections.values())
    return Answer(document={"a": a.id, "b": b.id, "same": same, **sections}, lines=lines, ok=same)


def environment_changes(one: Receipt, a: Snapshot | None, two: Receipt, b: Snapshot | None) -> list[str]:
    """``name: then -> now`` of the interpreter, platform and packages, and of two trainings' threads and devices.

    Where either training's own receipt is gone or unreadable only the receipts are compared: naming what is broken is
    for ``verify`` and ``explain``.
    """
    trained = _trained_in(a), _trained_in(b)
    then, now = trained if all(trained) else ({}, {})
    return differing({**one.environment, **then}, {**two.environment, **now})


def _sections(a: Node, b: Node, tree: Mapping[str, Node]) -> dict[str, Iterator[str]]:
    one, two = published_by(a), published_by(b)
    return {
        "identity": iter([] if a.id == b.id else [f"{a.id} -> {b.id}"]),
        "data": _data(one, two, tree),
        "config": iter(differing(_asked(one), _asked(two))),
        "code": iter(differing(_code(one), _code(two))),
        "environment": iter(environment_changes(one, a.snapshot, two, b.snapshot)),
        "metrics": iter(differing(_metrics(a.snapshot), _metrics(b.snapshot))),
    }


def _data(one: Receipt, two: Receipt, tree: Mapping[str, Node]) -> Iterator[str]:
    """What only one of the two read itself, then what only one of them descends from, nearest to the sources first."""
    read = [{parent.id: parent for parent in receipt.parents} for receipt in (one, two)]
    for side, mine, theirs in (("a", read[0], read[1]), ("b", read[1], read[0])):
        for key in [key for key in mine if key not in theirs]:
            yield f"only {side} read {mine[key].input}: {mine[key].kind} {short(key)}"
    ours, others = (_ancestors(receipt, tree) for receipt in (one, two))
    for key in tree:
        if (key in ours) != (key in others) and key not in read[0] and key not in read[1]:
            yield f"only {'a' if key in ours else 'b'} descends from {tree[key].kind} {short(key)}"


def _ancestors(receipt: Receipt, tree: Mapping[str, Node]) -> set[str]:
    seen: set[str] = set()
    pending = [parent.id for parent in receipt.parents]
    while pending:
        if (key := pending.pop()) not in seen:
            seen.add(key)
            pending += [parent.id for parent in published_by(tree[key]).parents] if tree[key].receipts else []
    return seen


def _asked(receipt: Receipt) -> dict[str, Any]:
    return {"config": receipt.config, "seeds": receipt.seeds, "arguments": receipt.arguments}


def _trained_in(snapshot: Snapshot | None) -> dict[str, Any]:
    """The environment that a training wrote down; empty when there is none to read."""
    if snapshot and "training.json" in snapshot.files:
        with contextlib.suppress(OSError, IntegrityError):
            return read_facts(snapshot).get("environment", {})
    return {}


def _code(receipt: Receipt) -> dict[str, Any]:
    return {"version": receipt.code_version, "commit": receipt.commit, "diff": receipt.diff}


def _metrics(snapshot: Snapshot | None) -> dict[str, Any]:
    """The numbers a node published about itself; seconds and rates are the machine's, not the result's."""
    if snapshot is None:
        return {}
    scalars = read_result(snapshot)["metrics"]["scalars"] if "result.json" in snapshot.files else {}
    stats = {k: v for k, v in snapshot.stats.items() if "second" not in k and not k.endswith("_per_s")}
    return {**stats, **scalars}
