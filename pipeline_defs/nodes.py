"""Looking at one node of the chain from the store alone: what it is, and whether it still is what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets_data.lineage import DataError, IntegrityError, Snapshot, StemmaError, Store
from assets_data.lineage.attestation import check_statement
from assets_data.lineage.receipt import read_receipt
from pipeline_defs.home import stemma_root


def find_node(node: str) -> Snapshot:
    """The snapshot meant by an id, an unambiguous beginning of one, an asset name, or a directory. Not yet verified."""
    store = Store(stemma_root() / "store")
    if (Path(node) / "snapshot.json").is_file():
        return Snapshot.open(Path(node))
    if (entry := store.pointer(node)) is not None:
        return store.opened(entry["snapshot"])
    prefix = node.removeprefix("sha256:")
    found = sorted((store.root / "snapshots").glob(f"{prefix}*")) if prefix.isalnum() else []
    if len(found) == 1:
        return store.opened(found[0].name)
    raise DataError(
        "NODE_AMBIGUOUS" if found else "NODE_UNKNOWN",
        "several nodes begin like that" if found else "no node has this id, name or path",
        found=node,
        where=store.root,
        action="name one of: " + ", ".join(store.all_names()),
    )


def describe_node(node: str) -> dict[str, Any]:
    """What a node is: its content, statistics, files and every receipt's account of how it was made."""
    snapshot = find_node(node)
    receipts = [read_receipt(path) for path in Store(stemma_root() / "store").receipts(snapshot.id)]
    return {
        "id": snapshot.id,
        "kind": snapshot.kind,
        "path": str(snapshot.path),
        "bytes": snapshot.bytes,
        "splits": snapshot.content["splits"],
        "records": snapshot.content["records"],
        "stats": dict(snapshot.stats),
        "files": {name: dict(entry) for name, entry in snapshot.files.items()},
        "receipts": receipts,
    }


def verify_node(node: str) -> dict[str, Any]:
    """Re-hash files, parts, receipts and the files of every parent. ``ok`` is False at the first fault."""
    snapshot = find_node(node)
    store = Store(stemma_root() / "store")
    report: dict[str, Any] = {"id": snapshot.id, "kind": snapshot.kind, "ok": True, "checked": [], "error": None}
    try:
        snapshot.verify(deep=True)
        report["checked"].append(f"{len(snapshot.files)} files, {snapshot.bytes:,} bytes")
        receipts = store.receipts(snapshot.id)
        if not receipts:
            raise IntegrityError("RECEIPT_MISSING", "no receipt says how this was made", where=snapshot.path)
        for path in receipts:
            parents = _verify_receipt(store, snapshot, path)
            report["checked"].append(f"receipt {path.stem[:12]} with {parents} verified parents")
    except StemmaError as error:
        report |= {"ok": False, "error": str(error)}
    return report


def print_node(description: dict[str, Any]) -> None:
    """For people: one screen."""
    print(f"{description['kind']}  {description['id']}")
    print(f"  {description['path']}  {description['bytes']:,} bytes")
    for name in ("splits", "stats"):
        for key, value in description[name].items():
            print(f"  {name[:-1]:<6}{key:<24}{value}")
    for receipt in description["receipts"]:
        build = receipt["predicate"]["buildDefinition"]
        started = receipt["predicate"]["runDetails"]["metadata"]["startedOn"]
        print(f"  made by {build['externalParameters']['stage']} at {started}")
        for entry in build["resolvedDependencies"]:
            print(f"    from  {entry['name']:<44}{' '.join(f'{k}:{v[:16]}' for k, v in entry['digest'].items())}")
        for key, value in build["externalParameters"]["config"].items():
            print(f"    with  {key:<24}{value}")


def print_verification(report: dict[str, Any]) -> None:
    """For people: what was checked, then yes or no."""
    print(f"{report['kind']}  {report['id']}")
    for line in report["checked"]:
        print(f"  ok  {line}")
    print("verified" if report["ok"] else f"BROKEN  {report['error']}")


def _verify_receipt(store: Store, snapshot: Snapshot, path: Path) -> int:
    document = read_receipt(path)
    check_statement(document, path)
    if document["subject"][0]["digest"]["sha256"] != snapshot.id.removeprefix("sha256:"):
        raise IntegrityError("RECEIPT_SUBJECT", "the receipt is about another node", expected=snapshot.id, where=path)
    *parents, _tree, _environment = document["predicate"]["buildDefinition"]["resolvedDependencies"]
    for parent in parents:
        store.snapshot(parent["digest"]["sha256"])
    return len(parents)
