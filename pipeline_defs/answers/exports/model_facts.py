"""What a checkpoint says of itself, for model cards of every format: its training, its data, its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assets_data.lineage import Snapshot, StemmaError
from assets_data.lineage.queries.tree import Node, newest
from pipeline_defs.answers.nodes import default_store


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One checkpoint: ``metrics`` come from a gate report that judged it, and are empty where there is none."""

    name: str
    recipe: str
    training: Mapping[str, Any]
    config: Mapping[str, Any]
    datasets: list[Node]
    metrics: Mapping[str, Any]
    verdict: str


def model_facts(tree: Mapping[str, Node], root: str) -> ModelFacts:
    """The facts of the checkpoint ``root``."""
    node = tree[root]
    account, snapshot = newest(node), node.snapshot
    training = snapshot.read_json("training.json") if snapshot and "training.json" in snapshot.files else {}
    parents = [tree[parent.id] for parent in account.parents if not parent.kind.endswith("/preflight_report")]
    recipe = node.kind.partition("/")[0]
    metrics, verdict = _judgement(recipe, root)
    return ModelFacts(recipe, recipe, training, account.config, parents, metrics, verdict)


def _judgement(recipe: str, root: str) -> tuple[dict[str, Any], str]:
    report = _report(recipe)
    document = report.read_json("result.json") if report and "result.json" in report.files else {}
    if document.get("metadata", {}).get("checkpoint") != root:
        return {}, "not judged"
    scalars = {k: v for k, v in document["metrics"]["scalars"].items() if isinstance(v, int | float | str)}
    return scalars, document["gate"]["verdict"]


def _report(recipe: str) -> Snapshot | None:
    try:
        return default_store().pointed(f"{recipe}/gate_report")
    except StemmaError:
        return None
