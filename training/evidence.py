"""What a recipe's receipts and files must agree on: settings, parents and order, each said in more than one place.

The preflight registers settings and inputs before the first update; the receipts of training and gate repeat them; the
files beside the weights (``config.json``, ``training.json``, ``manifest.json``) and ``result.json`` say them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assets_data.documents import FACTS, MANIFEST, REGISTRATION, RESULT
from assets_data.lineage import Snapshot
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.receipts.receipt import Receipt
from training.recipe import PROMOTED

Nodes = Mapping[str, Node]
PREFLIGHT = "preflight"


def contradictions(node: Node, nodes: Nodes) -> Iterator[str]:
    """A sentence for everything that a node's receipts and files, or those of its preflight, do not say alike."""
    if node.snapshot is None:
        return
    yield from _registered_inputs(node)
    for receipt in node.receipts:
        yield from _registered(receipt, nodes)
    told = [_repeated(node.snapshot, receipt, nodes) for receipt in node.receipts]
    if told and all(told):  # equal weights of another run keep the files of the first, so one receipt must fit them
        yield min(told, key=len)[0]


def _registered_inputs(node: Node) -> Iterator[str]:
    """A preflight read what it registered."""
    document = _document(node.snapshot, REGISTRATION)
    for receipt in node.receipts:
        read = {(parent.input, parent.id) for parent in receipt.parents}
        for name, key in document.get("inputs", {}).items():
            if (name, key) not in read:
                yield f"it registered the {name} {key}, which its receipt does not name"


def _registered(receipt: Receipt, nodes: Nodes) -> Iterator[str]:
    """Whatever has a preflight as a parent has its settings and inputs."""
    read = {(parent.input, parent.id) for parent in receipt.parents}
    for parent in receipt.parents:
        document = _document(nodes[parent.id].snapshot, REGISTRATION) if parent.id in nodes else {}
        if parent.input != PREFLIGHT or "config" not in document:
            continue
        if receipt.stage.endswith(f"/{PROMOTED}"):  # a choice between checkpoints, which has no settings
            continue
        if document["config"] != receipt.config:
            yield "its receipt has other settings than its preflight registered"
        for name, key in document.get("inputs", {}).items():
            if (name, key) not in read:
                yield f"its preflight registered the {name} {key}, which its receipt does not name"


def _repeated(snapshot: Snapshot, receipt: Receipt, nodes: Nodes) -> list[str]:
    """What the files of a checkpoint or a report say otherwise than one receipt."""
    parents = {parent.id for parent in receipt.parents}
    facts, result = _typed(snapshot, FACTS), _typed(snapshot, RESULT)
    found: list[str] = []
    for name, config in (("config.json", _document(snapshot, "config.json")), ("result.json", result.get("config"))):
        if config and (facts or result) and config != receipt.config:
            found.append(f"{name} has other settings than its receipt")
    for key in sorted(_named(facts) - parents):
        found.append(f"training.json says that it read {key}, which its receipt does not name")
    order = facts.get("order") or {}
    expected = {"seed": receipt.seeds.get("order"), "batch_rows": _plan(receipt).get("batch_rows")}
    found += [
        f"training.json has another {name} than its receipt" for name in expected if _differs(order, expected, name)
    ]
    manifests = [nodes[parent.id].snapshot for parent in receipt.parents if parent.input == "manifest"]
    copied = _document(snapshot, MANIFEST) if facts else {}
    if copied and manifests and manifests[0] and copied != _document(manifests[0], MANIFEST):
        found.append("its manifest.json is not that of the manifest it read")
    return found


def _named(facts: Mapping[str, Any]) -> set[str]:
    """The snapshots that training facts say were read."""
    tables = {table["snapshot"] for table in (facts.get("order") or {}).get("tables", [])}
    single = {facts["preflight"]} if isinstance(facts.get("preflight"), str) else set[str]()
    return tables | single | {*facts.get("inputs", {}).values(), *facts.get("corpus", {}).values()}


def _plan(receipt: Receipt) -> Mapping[str, Any]:
    plan = receipt.config.get("train", {})
    return plan if isinstance(plan, Mapping) else {}


def _differs(order: Mapping[str, Any], expected: Mapping[str, Any], name: str) -> bool:
    return name in order and expected[name] is not None and order[name] != expected[name]


def _typed(snapshot: Snapshot, name: str) -> dict[str, Any]:
    """A document of the trainer's; empty for what only has its name."""
    document = _document(snapshot, name)
    return document if "schema_version" in document else {}


def _document(snapshot: Snapshot | None, name: str) -> dict[str, Any]:
    """One of a snapshot's JSON documents; empty where it has none, or it is no object."""
    if snapshot is None or name not in snapshot.files or not (snapshot.path / name).is_file():
        return {}
    document = snapshot.read_json(name)
    return document if isinstance(document, dict) else {}
