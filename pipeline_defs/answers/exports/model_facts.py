"""What a checkpoint says of itself, for model cards of every format: its training, its data, its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assets_data.documents import read_facts, read_result
from assets_data.lineage import Snapshot, StemmaError, Store
from assets_data.lineage.queries.tree import Node, published_by

TASK = "other"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One checkpoint: ``metrics`` come from a gate report that judged it, and are empty where there is none.

    ``task`` is what its training says it is for, in the words of Hugging Face's list; ``other`` where it does not say.
    """

    name: str
    recipe: str
    task: str
    training: Mapping[str, Any]
    config: Mapping[str, Any]
    datasets: list[Node]
    metrics: Mapping[str, Any]
    verdict: str


def model_facts(tree: Mapping[str, Node], root: str) -> ModelFacts:
    """The facts of the checkpoint ``root``."""
    node = tree[root]
    receipt, snapshot = published_by(node), node.snapshot
    training = read_facts(snapshot) if snapshot and "training.json" in snapshot.files else {}
    parents = [tree[parent.id] for parent in receipt.parents if not parent.kind.endswith("/preflight_report")]
    recipe = node.kind.partition("/")[0]
    metrics, verdict = _judgement(snapshot, recipe, root)
    task = training.get("task") or TASK
    return ModelFacts(recipe, recipe, task, training, receipt.config, parents, metrics, verdict)


def _judgement(checkpoint: Snapshot | None, recipe: str, root: str) -> tuple[dict[str, Any], str]:
    report = _report(Store(checkpoint.path.parents[1]), recipe) if checkpoint else None
    document = read_result(report) if report and "result.json" in report.files else {}
    if document.get("metadata", {}).get("checkpoint") != root:
        return {}, "not judged"
    scalars = {k: v for k, v in document["metrics"]["scalars"].items() if isinstance(v, int | float | str)}
    return scalars, document["gate"]["verdict"]


def _report(store: Store, recipe: str) -> Snapshot | None:
    """The gate report in the checkpoint's own store: another store's is about another history."""
    try:
        return store.pointed(f"{recipe}/gate_report")
    except StemmaError:
        return None
