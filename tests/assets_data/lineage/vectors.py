"""The corpus of accept and reject vectors: a base bundle and, per vector, the edits that make what is judged."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from assets_data.lineage import canonical_json
from assets_data.lineage.queries.bundle import envelope, head_statement
from assets_data.lineage.receipts.code import ROOT

FOLDER = ROOT / "docs" / "verifier" / "vectors"
VECTORS = json.loads((FOLDER / "vectors.json").read_bytes())


def vector_bytes(vector: dict[str, Any]) -> bytes:
    """The bundle of a vector, as a file would hold it."""
    bundle, text = json.loads((FOLDER / vector.get("base", "base.json")).read_bytes()), None
    for operation, *operands in vector["edits"]:
        if operation in ("raw", "text", "spell"):
            text = _spelled(operation, operands, bundle)
        else:
            _EDITS[operation](bundle, *operands)
    return (text if text is not None else json.dumps(bundle)).encode()


def key_path(vector: dict[str, Any]) -> Path | None:
    """The public key the vector is judged with."""
    return FOLDER / vector["key"] if "key" in vector else None


def _spelled(operation: str, operands: list[str], bundle: Any) -> str:
    if operation == "raw":
        return operands[0]
    if operation == "text":
        return json.dumps(bundle, separators=(",", ":")).replace(*operands, 1)
    if operands == ["indent"]:
        return json.dumps(bundle, indent=3)
    return json.dumps(dict(reversed(bundle.items())))


def _at(bundle: Any, path: list[Any]) -> Any:
    for name in path:
        bundle = bundle[name]
    return bundle


def _set(bundle: Any, path: list[Any], value: Any) -> None:
    _at(bundle, path[:-1])[path[-1]] = value


def _drop(bundle: Any, path: list[Any]) -> None:
    del _at(bundle, path[:-1])[path[-1]]


def _insert(bundle: Any, path: list[Any], value: Any) -> None:
    _at(bundle, path[:-1]).insert(path[-1], value)


def _swap(bundle: Any, one: int, two: int) -> None:
    nodes = bundle["nodes"]
    nodes[one], nodes[two] = nodes[two], nodes[one]


def _flip(bundle: Any, path: list[Any], byte: int) -> None:
    data = bytearray(base64.b64decode(_at(bundle, path)))
    data[byte] ^= 1
    _set(bundle, path, base64.b64encode(data).decode())


def _extend(bundle: Any, path: list[Any]) -> None:
    _set(bundle, path, base64.b64encode(base64.b64decode(_at(bundle, path)) + b"\0").decode())


def _receipt(bundle: Any, node: int, old: str, new: str) -> None:
    raw = base64.b64decode(bundle["nodes"][node]["receipts"][0]).decode()
    assert old in raw, "an edit that changes nothing"
    bundle["nodes"][node]["receipts"][0] = base64.b64encode(raw.replace(old, new, 1).encode()).decode()


def _receipt_re(bundle: Any, node: int, pattern: str, new: str) -> None:
    raw = base64.b64decode(bundle["nodes"][node]["receipts"][0]).decode()
    _receipt(bundle, node, re.search(pattern, raw)[0], new)


def _rehead(bundle: Any) -> None:
    """Count and head made right for the edited nodes: only what is inside can still be wrong."""
    if not bundle["nodes"]:
        return
    last = bundle["nodes"][-1]
    kind = last["content"]["kind"] if isinstance(last["content"], dict) else "?"
    statement = head_statement(last["id"], kind, bundle["nodes"])
    bundle["envelope"] = envelope(canonical_json(statement), bundle["envelope"]["signatures"])


_EDITS = {
    "set": _set,
    "drop": _drop,
    "insert": _insert,
    "swap": _swap,
    "flip": _flip,
    "extend": _extend,
    "upper": lambda bundle, path: _set(bundle, path, _at(bundle, path).upper()),
    "receipt": _receipt,
    "receipt_re": _receipt_re,
    "rehead": _rehead,
}
