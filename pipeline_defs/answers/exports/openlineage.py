"""OpenLineage: one COMPLETE run event per receipt of the tree, parents first (openlineage.io, spec 2-0-2)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from assets_data.lineage.queries.tree import Node
from assets_data.lineage.receipts.receipt import Receipt

PRODUCER = "urn:stemma"
NAMESPACE = "stemma"
_SPEC = "https://openlineage.io/spec"


def run_events(tree: Mapping[str, Node]) -> list[dict[str, Any]]:
    """Every receipt of every node as an event. Run ids are derived from receipts: the same receipt, the same run."""
    return [_event(node, receipt) for node in tree.values() for receipt in node.receipts]


def _event(node: Node, receipt: Receipt) -> dict[str, Any]:
    return {
        "eventTime": receipt.finished,
        "eventType": "COMPLETE",
        "producer": PRODUCER,
        "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {
            "runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:stemma:receipt:{receipt.id}")),
            "facets": {
                "nominalTime": _facet(
                    "NominalTimeRunFacet", nominalStartTime=receipt.started, nominalEndTime=receipt.finished
                ),
                "processing_engine": _facet(
                    "ProcessingEngineRunFacet", "1-1-1", name="stemma", version=receipt.code_version
                ),
            },
        },
        "job": {
            "namespace": NAMESPACE,
            "name": receipt.stage,
            "facets": {
                "sourceCodeLocation": _facet(
                    "SourceCodeLocationJobFacet",
                    type="git",
                    url=PRODUCER,
                    version=receipt.commit or receipt.code_version,
                )
            },
        },
        "inputs": [_dataset(parent.kind, parent.id) for parent in receipt.parents],
        "outputs": [_dataset(node.kind, node.id)],
    }


def _dataset(kind: str, snapshot_id: str) -> dict[str, Any]:
    version = _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=snapshot_id)
    return {"namespace": NAMESPACE, "name": kind, "facets": {"version": version}}


def _facet(facet: str, version: str = "1-0-1", /, **members: str) -> dict[str, str]:
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{version}/{facet}.json#/$defs/{facet}", **members}
