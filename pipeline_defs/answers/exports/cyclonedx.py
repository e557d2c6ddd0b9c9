"""CycloneDX 1.7: a checkpoint as a machine-learning bill of materials with a model card (cyclonedx.org, ECMA-424).

Written as JSON by hand: the Python library of that project does not write model cards yet.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from assets_data.lineage.queries.tree import Node, published_by
from pipeline_defs.answers.answer import short
from pipeline_defs.answers.exports.model_facts import ModelFacts, model_facts


def cyclonedx(tree: Mapping[str, Node], root: str) -> dict[str, Any]:
    """The bill of materials of a checkpoint: the model, every snapshot below it as data, and how they depend."""
    facts, receipt = model_facts(tree, root), published_by(tree[root])
    others = [node for key, node in tree.items() if key != root]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:stemma:{root}:{receipt.id}')}",
        "version": 1,
        "metadata": {"timestamp": receipt.finished, "component": _model(tree[root], facts)},
        "components": [_data(node) for node in others],
        "dependencies": [{"ref": node.id, "dependsOn": sorted(node.parents)} for node in tree.values()],
    }


def _model(node: Node, facts: ModelFacts) -> dict[str, Any]:
    metrics = [{"type": name, "value": str(value)} for name, value in sorted(facts.metrics.items())]
    return {
        "type": "machine-learning-model",
        "bom-ref": node.id,
        "name": facts.name,
        "version": short(node.id),
        "hashes": [{"alg": "SHA-256", "content": node.id.removeprefix("sha256:")}],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "self-supervised"},
                "task": "language-modeling",
                "architectureFamily": "transformer",
                "modelArchitecture": facts.recipe,
                "datasets": [{"ref": data.id} for data in facts.datasets],
                "inputs": [{"format": "token ids"}],
                "outputs": [{"format": "token logits"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": metrics},
            "considerations": {"technicalLimitations": [f"gate: {facts.verdict}"]},
        },
        "properties": _properties(node, facts),
    }


def _properties(node: Node, facts: ModelFacts) -> list[dict[str, str]]:
    receipt = published_by(node)
    values = {
        "stemma:checkpoint_id": facts.training.get("checkpoint_id", node.id),
        "stemma:receipt": receipt.id,
        "stemma:code_version": receipt.code_version,
        "stemma:commit": receipt.commit or "none",
        "stemma:modified": str(receipt.dirty).lower(),
        "stemma:environment": receipt.lock,
        "stemma:updates": str(facts.training.get("updates", "")),
        "stemma:bit_exact": str(facts.training.get("bit_exact", "")).lower(),
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _data(node: Node) -> dict[str, Any]:
    receipt = published_by(node)
    return {
        "type": "data",
        "bom-ref": node.id,
        "name": node.kind,
        "version": short(node.id),
        "hashes": [{"alg": "SHA-256", "content": node.id.removeprefix("sha256:")}],
        "data": [{"type": "dataset", "name": node.kind, "contents": {"attachment": {"content": node.id}}}],
        "properties": [{"name": "stemma:receipt", "value": receipt.id}],
    }
