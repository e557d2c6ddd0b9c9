"""Reading receipts strictly, those of every released schema version.

Promises that a document which parses has one subject, named SHA-256 digests and nothing that it does not understand.
Whether what it says is true is for ``queries`` to find out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import IntegrityError
from assets_data.lineage.identity.digests import Spelled, digest_bytes, is_object, load_spelled
from assets_data.lineage.receipts.byproducts import parse_byproducts
from assets_data.lineage.receipts.members import HEX, an_object, keys, receipt_names, text, whether
from assets_data.lineage.receipts.receipt import (
    BUILD_TYPE,
    LOCK,
    PREDICATE,
    RECEIPT_SCHEMAS,
    SOURCE,
    STATEMENT,
    TREE,
    Parent,
    Receipt,
    SourcePart,
    made_digest,
)
from assets_data.lineage.storage.folders import file_bytes
from assets_data.lineage.storage.verified import settled_keys


def read_document(path: Path) -> dict[str, Any]:
    """A receipt, checked against its own name and its schema. Raises IntegrityError when a byte of it changed."""
    return read_both(path)[0]


def read_receipt(path: Path) -> Receipt:
    """What a receipt says, as typed fields; checked as :func:`read_document` does."""
    return read_both(path)[1]


def parse_bytes(raw: bytes, path: Path) -> tuple[dict[str, Any], Receipt]:
    """The document and its fields, from the one spelling that is accepted: strict and canonical JSON.

    Raises IntegrityError, RECEIPT_SPELLING for another spelling of the same document.
    """
    try:
        spelled = load_spelled(raw, path)
    except IntegrityError as error:
        if error.code != "JSON_NO_CANONICAL":  # an integer past 2**53, half a surrogate pair
            raise
        raise IntegrityError("RECEIPT_SPELLING", f"a receipt cannot be one: {error.what}", where=path) from error
    if spelled.canonical != raw:
        raise IntegrityError("RECEIPT_SPELLING", "a receipt is not in canonical form", where=path)
    return spelled.document, parse_receipt(spelled, path)


def read_both(path: Path) -> tuple[dict[str, Any], Receipt]:
    """The document and its fields in one reading; checked as :func:`read_document` does.

    One that has come to rest is read once while it stays as it is. What was read must not be changed.
    """
    seen = settled_keys(path)
    return _kept(path, seen) if seen else _read_now(path)


@functools.lru_cache(maxsize=1 << 14)  # some kilobytes each
def _kept(path: Path, _seen: object) -> tuple[dict[str, Any], Receipt]:
    return _read_now(path)


def _read_now(path: Path) -> tuple[dict[str, Any], Receipt]:
    return parse_bytes(unedited(path), path)


def unedited(path: Path) -> bytes:
    """A receipt's bytes, checked against its own name and not parsed. Raises as :func:`read_document` for those."""
    try:
        raw = file_bytes(path)
    except OSError as error:
        raise IntegrityError("RECEIPT_UNREADABLE", f"a receipt cannot be read: {error}", where=path) from error
    if (found := digest_bytes(raw).removeprefix("sha256:")) != path.stem:
        raise IntegrityError("RECEIPT_DIGEST", "a receipt was edited", expected=path.stem, found=found, where=path)
    return raw


def check_statement(document: Mapping[str, Any], where: object) -> None:
    """Parse and validate with the in-toto attestation library. Raises IntegrityError RECEIPT_STATEMENT.

    To the library a predicate is any object with members, so it is given the members' names alone: turning all that
    lies below them into protobuf messages took ten times as long as the rest. :func:`parse_receipt` reads them.
    """
    from google.protobuf.json_format import ParseDict, ParseError
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    try:
        message = statement_pb2.Statement()
        predicate = document.get("predicate")
        outline = dict.fromkeys(predicate) if is_object(predicate) else predicate
        Statement.copy_from_pb(ParseDict({**document, "predicate": outline}, message)).validate()
    except (ParseError, ValueError) as error:
        raise IntegrityError("RECEIPT_STATEMENT", f"not a valid in-toto statement: {error}", where=where) from error


def parse_receipt(spelled: Spelled, path: Path) -> Receipt:
    """The fields of a receipt. Raises IntegrityError RECEIPT_TYPE, _VERSION, _ALGORITHM or _SHAPE."""
    _require_types(spelled.document, path)
    try:
        return _parse(spelled, path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        what = f"a receipt's member is missing or of another type: {type(error).__name__} {error}"
        raise IntegrityError("RECEIPT_SHAPE", what, where=path) from error


def _parse(spelled: Spelled, path: Path) -> Receipt:
    document = keys(spelled.document, {"_type", "subject", "predicateType", "predicate"})
    (subject,) = document["subject"]
    keys(subject, {"name", "digest"})
    predicate = keys(document["predicate"], {"buildDefinition", "runDetails"})
    build = predicate["buildDefinition"]
    keys(build, {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"})
    outside = keys(build["externalParameters"], {"stage", "config", "arguments", "requested"})
    inside = keys(build["internalParameters"], {"code_version", "seeds", "schema"})
    _require_schema(inside["schema"], path)
    if build["buildType"] != BUILD_TYPE or subject["name"] != outside["stage"]:
        raise ValueError("a receipt is of one stage, which its subject is named after")
    details = keys(predicate["runDetails"], {"builder", "metadata", "byproducts"})
    keys(details["metadata"], {"startedOn", "finishedOn"})
    text(keys(details["builder"], {"id"})["id"])
    beside = parse_byproducts(details["byproducts"], inside["schema"])
    parents, sources, (tree, lock) = _dependencies(build["resolvedDependencies"], inside["schema"], path)
    return Receipt(
        path=path,
        id=path.stem,
        subject=f"sha256:{_digest(subject, path)['sha256']}",
        stage=text(outside["stage"]),
        config=an_object(outside["config"]),
        arguments=an_object(outside["arguments"]),
        requested=an_object(outside["requested"]),
        code_version=text(inside["code_version"]),
        seeds=an_object(inside["seeds"]),
        parents=parents,
        sources=sources,
        commit=_digest(tree, path).get("gitCommit"),
        dirty=whether(tree["annotations"]["dirty"]),
        diff=_digest(tree, path).get("sha256"),
        lock=_digest(lock, path)["sha256"],
        environment=beside.environment,
        ended=beside.ended,
        started=text(details["metadata"]["startedOn"]),
        finished=text(details["metadata"]["finishedOn"]),
        schema=inside["schema"],
        files=beside.files,
        replaces=beside.replaces,
        made=made_digest(predicate, spelled.digest) if inside["schema"] > 2 else "",
    )


def _dependencies(
    entries: list[Any], schema: int, path: Path
) -> tuple[tuple[Parent, ...], tuple[SourcePart, ...], tuple[dict[str, Any], dict[str, Any]]]:
    """Parents, then source parts, then the tree and the lock: the order in which they are written."""
    *read, tree, lock = entries
    keys(keys(tree, {"name", "digest", "annotations"})["annotations"], {"dirty"})
    keys(lock, {"name", "digest"})
    if (tree["name"], lock["name"]) != (TREE, LOCK):
        raise ValueError("the last two dependencies are the source tree and the environment's lock")
    parents: list[Parent] = []
    sources: list[SourcePart] = []
    for entry in read:
        digest, (role, _, name) = _digest(entry, path)["sha256"], entry["name"].partition("=")
        if role == SOURCE and "uri" in entry:
            keys(entry, {"name", "digest", "uri"})
            sources.append(SourcePart(name, digest, text(entry["uri"])))
        else:
            parents.append(Parent(role, name, f"sha256:{digest}", _parent_receipts(entry, schema)))
    return tuple(parents), tuple(sources), (tree, lock)


def _parent_receipts(entry: Mapping[str, Any], schema: int) -> tuple[str, ...]:
    if schema < 3:
        keys(entry, {"name", "digest", *({"uri"} & set(entry))})
        return ()
    keys(entry, {"name", "digest", "annotations"})
    return receipt_names(entry["annotations"])


def _digest(entry: Mapping[str, Any], path: Path) -> dict[str, str]:
    """The digests of an entry, each of a known algorithm and of that algorithm's length."""
    for algorithm, value in entry["digest"].items():
        if algorithm not in HEX or not isinstance(value, str) or not HEX[algorithm].match(value):
            raise IntegrityError(
                "RECEIPT_ALGORITHM",
                "a digest is of an unknown algorithm or of a wrong length",
                expected="sha256 (64 hex) or gitCommit",
                found=f"{algorithm}:{value}",
                where=path,
            )
    return entry["digest"]


def _require_types(document: Any, path: Path) -> None:
    members: Mapping[str, Any] = document if is_object(document) else {}
    kinds = (members.get("_type"), members.get("predicateType"))
    if kinds != (STATEMENT, PREDICATE):
        raise IntegrityError("RECEIPT_TYPE", "not an in-toto v1 provenance statement", found=kinds, where=path)


def _require_schema(found: Any, path: Path) -> None:
    if type(found) is not int or found not in RECEIPT_SCHEMAS:
        what = "written by another schema version"
        raise IntegrityError("RECEIPT_VERSION", what, expected=list(RECEIPT_SCHEMAS), found=found, where=path)
