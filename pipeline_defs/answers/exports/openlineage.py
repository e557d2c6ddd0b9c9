"""OpenLineage: one COMPLETE run event per receipt of the tree, parents first (openlineage.io, spec 2-0-2)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from assets_data.lineage.queries.tree import Node
from assets_data.lineage.receipts.provenance import Provenance

PRODUCER = "urn:stemma"
NAMESPACE = "stemma"
_SPEC = "https://openlineage.io/spec"


def run_events(tree: Mapping[str, Node]) -> list[dict[str, Any]]:
    """Every account of every node as an event. Run ids are derived from receipts: the same receipt, the same run."""
    return [_event(node, account) for node in tree.values() for account in node.accounts]


def _event(node: Node, account: Provenance) -> dict[str, Any]:
    return {
        "eventTime": account.finished,
        "eventType": "COMPLETE",
        "producer": PRODUCER,
        "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {
            "runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:stemma:receipt:{account.id}")),
            "facets": {
                "nominalTime": _facet(
                    "NominalTimeRunFacet", nominalStartTime=account.started, nominalEndTime=account.finished
                ),
                "processing_engine": _facet(
                    "ProcessingEngineRunFacet", "1-1-1", name="stemma", version=account.code_version
                ),
            },
        },
        "job": {
            "namespace": NAMESPACE,
            "name": account.stage,
            "facets": {
                "sourceCodeLocation": _facet(
                    "SourceCodeLocationJobFacet",
                    type="git",
                    url=PRODUCER,
                    version=account.commit or account.code_version,
                )
            },
        },
        "inputs": [_dataset(parent.kind, parent.id) for parent in account.parents],
        "outputs": [_dataset(node.kind, node.id)],
    }


def _dataset(kind: str, snapshot_id: str) -> dict[str, Any]:
    version = _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=snapshot_id)
    return {"namespace": NAMESPACE, "name": kind, "facets": {"version": version}}


def _facet(facet: str, version: str = "1-0-1", /, **members: str) -> dict[str, str]:
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{version}/{facet}.json#/$defs/{facet}", **members}
