"""``snapshot.json``: what stands in it, and its reading, which refuses another version or shape with a code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import Spelled, is_object, load_spelled
from assets_data.lineage.storage.folders import file_bytes

SCHEMA = 1
MANIFEST = "snapshot.json"
_ENTRY = {"bytes": int, "sha256": str, "part": bool}


def read_manifest(path: Path) -> tuple[bytes, Spelled]:
    """The ``snapshot.json`` of a snapshot's folder, as bytes and parsed; an identity without a canonical form has no
    digest. Raises IntegrityError with one code per defect.
    """
    manifest = path / MANIFEST
    try:
        raw = file_bytes(manifest)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise broken("SNAPSHOT_INCOMPLETE", "no snapshot.json: this directory was never published", path) from error
    if not raw:
        raise broken("SNAPSHOT_EMPTY", "snapshot.json is empty", manifest)
    document = (spelled := load_spelled(raw, manifest)).document
    if is_object(document) and is_object(said := document.get("content")):
        if (version := said.get("schema")) != SCHEMA:
            raise broken("SNAPSHOT_VERSION", "written by another schema version", manifest, SCHEMA, version)
    if problem := next(_shape_problems(document), None):
        raise broken("SNAPSHOT_SHAPE", f"snapshot.json is not what a snapshot writes: {problem}", manifest)
    return raw, spelled


def _shape_problems(document: Any) -> Iterator[str]:
    """What of ``snapshot.json`` has another shape than :meth:`SnapshotWriter.finish` gives it."""
    if not is_object(document) or set(document) - {"made"} != {"content", "files", "id", "stats"}:
        yield "it does not have the expected members"
        return
    if "made" in document and not re.fullmatch("sha256:[0-9a-f]{64}", str(document["made"])):
        yield "what it says of its making is no digest"
    kinds = {"content": dict, "files": dict, "id": str, "stats": dict}
    yield from (f"{name} is of another type" for name, kind in kinds.items() if not isinstance(document[name], kind))
    content, files = document["content"], document["files"]
    if not is_object(content) or set(content) != {"kind", "schema", "parts", "splits", "records"}:
        yield "the content does not have the five expected members"
    else:
        yield from _content_problems(content)
    for name, entry in files.items() if is_object(files) else ():
        if not _is_inside(name):
            yield f"{name!r} lies outside the snapshot"
        if not is_object(entry) or {k: type(v) for k, v in entry.items()} != _ENTRY or entry["bytes"] < 0:
            yield f"the entry of {name!r} is not a size, a digest and whether it is a part"


def _content_problems(content: Mapping[str, Any]) -> Iterator[str]:
    splits, records = content["splits"], content["records"]
    if not isinstance(content["kind"], str) or not isinstance(content["parts"], dict):
        yield "the content's kind or parts are of another type"
    if not is_object(splits) or not all(type(rows) is int for rows in splits.values()):
        yield "the splits are not numbers of rows"
    if records is not None and not (
        is_object(records)
        and set(records) == {"count", "root"}
        and type(records["count"]) is int
        and isinstance(records["root"], str)
        and re.fullmatch("[0-9a-f]{64}", records["root"])
    ):
        yield "the records are not a count and a root"


def _is_inside(name: str) -> bool:
    """Whether a file's name is a plain relative path: one spelling, and nothing that leads out of the snapshot."""
    return "\0" not in name and not any(step in ("", ".", "..") for step in name.split("/"))


def broken(code: str, what: str, where: Path, expected: object = None, found: object = None) -> IntegrityError:
    """The error of a snapshot that is not what was published."""
    action = "run the stage again: the broken copy is quarantined and rebuilt"
    return IntegrityError(code, what, expected=expected, found=found, where=where, action=action)
