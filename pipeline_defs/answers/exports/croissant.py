"""Croissant 1.1: a node as a dataset description with files, record sets and where they were derived from (PROV).

Follows mlcommons.org/croissant/1.1; the provenance members are W3C PROV-O terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets_data.documents import read_source_notes
from assets_data.lineage import Snapshot
from assets_data.lineage.identity.tables import table_schema
from assets_data.lineage.queries.tree import Node
from pipeline_defs.answers.answer import short

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "containedIn": "cr:containedIn",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FORMATS = {
    ".parquet": "application/x-parquet",
    ".arrow": "application/vnd.apache.arrow.file",
    ".json": "application/json",
}


def croissant(tree: Mapping[str, Node], root: str) -> dict[str, Any]:
    """The JSON-LD document of a node: its own files, and those of the snapshots it names where it holds no table."""
    node = tree[root]
    snapshots = [s for s in _described(tree, node)]
    notes = _notes(tree)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": f"{node.kind.replace('/', '-')}-{short(root)}",
        "description": f"{node.kind} {root}; origin: {notes['origin']}",
        "license": notes["licence"],
        "url": f"urn:stemma:{root}",
        "version": "1.0.0",
        "datePublished": max(receipt.finished for receipt in node.receipts),
        "citeAs": f"Stemma snapshot {root}",
        "distribution": [entry for snapshot in snapshots for entry in _files(snapshot)],
        "recordSet": [entry for snapshot in snapshots for entry in _record_sets(snapshot)],
        "prov:wasDerivedFrom": [{"@id": f"urn:stemma:{parent}"} for parent in node.parents],
        "prov:wasGeneratedBy": [_activity(receipt) for receipt in node.receipts],
    }


def _described(tree: Mapping[str, Node], node: Node) -> Iterator[Snapshot]:
    own = node.snapshot
    tables = own and any(Path(name).suffix in (".parquet", ".arrow") for name in own.files)
    for key in [node.id] if tables else [node.id, *node.parents]:
        if (snapshot := tree[key].snapshot) is not None:
            yield snapshot


def _files(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for name, entry in snapshot.files.items():
        yield {
            "@type": "cr:FileObject",
            "@id": _file_id(snapshot, name),
            "name": _file_id(snapshot, name),
            "contentUrl": f"snapshots/{snapshot.path.name}/{name}",
            "contentSize": f"{entry['bytes']} B",
            "encodingFormat": _FORMATS.get(Path(name).suffix, "application/octet-stream"),
            "sha256": entry["sha256"].removeprefix("sha256:"),
        }


def _record_sets(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for name, entry in snapshot.files.items():
        if entry["part"] and Path(name).suffix in (".parquet", ".arrow"):
            table = f"{_file_id(snapshot, name)}/rows"
            fields = [_field(snapshot, name, table, field) for field in table_schema(snapshot.file(name))]
            yield {"@type": "cr:RecordSet", "@id": table, "name": table, "field": fields}


def _field(snapshot: Snapshot, name: str, table: str, field: pa.Field) -> dict[str, Any]:
    nested = (
        pa.types.is_list(field.type) or pa.types.is_large_list(field.type) or pa.types.is_fixed_size_list(field.type)
    )
    return {
        "@type": "cr:Field",
        "@id": f"{table}/{field.name}",
        "name": f"{table}/{field.name}",
        "dataType": _data_type(field.type.value_type if nested else field.type),
        **({"isArray": True, "arrayShape": "-1"} if nested else {}),
        "source": {"fileObject": {"@id": _file_id(snapshot, name)}, "extract": {"column": field.name}},
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"


def _activity(receipt: Any) -> dict[str, Any]:
    return {
        "@type": "prov:Activity",
        "@id": f"urn:stemma:receipt:{receipt.id}",
        "prov:startedAtTime": receipt.started,
        "prov:endedAtTime": receipt.finished,
        "prov:used": [{"@id": f"urn:stemma:{parent.id}"} for parent in receipt.parents],
        "prov:wasAssociatedWith": {"@id": f"urn:stemma:code:{receipt.commit or receipt.diff}"},
    }


def _notes(tree: Mapping[str, Node]) -> dict[str, str]:
    """Licence and origin of every source in the tree."""
    found: dict[str, set[str]] = {"licence": set(), "origin": set()}
    for node in tree.values():
        if node.snapshot and (notes := read_source_notes(node.snapshot)):
            found["licence"].add(notes["licence"])
            found["origin"].add(notes["origin"])
    return {name: "; ".join(sorted(values)) or "unstated" for name, values in found.items()}


def _file_id(snapshot: Snapshot, name: str) -> str:
    return f"{short(snapshot.id)}/{name}"
