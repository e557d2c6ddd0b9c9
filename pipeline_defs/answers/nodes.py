"""Looking at one node of the chain from the store alone: what it is, and whether it still is what it says."""

from __future__ import annotations

import contextlib
import dataclasses
from argparse import Namespace
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from assets_data.lineage import DataError, IntegrityError, Snapshot, StemmaError, Store
from assets_data.lineage.identity.merkle import WIDTH
from assets_data.lineage.identity.record_ids import iter_records
from assets_data.lineage.queries.evidence import binding, check_evidence
from assets_data.lineage.queries.memory import check_memory
from assets_data.lineage.queries.tree import load_tree, was_sealed
from assets_data.lineage.receipts.reader import check_statement, read_document
from assets_data.lineage.storage.deletions import find_deletion
from assets_data.lineage.storage.names import is_name, require_kind
from assets_data.lineage.storage.records import parse_record, record_tables
from pipeline_defs.answers.answer import Answer, settings_in_words
from pipeline_defs.home import stemma_root

SHOWN = 10  # names in a message


def default_store() -> Store:
    """The store under ``STEMMA_ROOT``."""
    return Store(stemma_root() / "store")


def find_node(node: str) -> Snapshot:
    """The snapshot meant by an id, an unambiguous beginning of one, an asset name, or a directory. Not yet verified."""
    if _is_snapshot(Path(node)):
        return Snapshot.open(Path(node))
    return default_store().opened(find_id(node))


def _is_snapshot(path: Path) -> bool:
    """Whether a snapshot lies there; of what can be no path, a name too long for one, none does."""
    try:
        return (path / "snapshot.json").is_file()
    except OSError:
        return False


def find_id(node: str) -> str:
    """The id of the snapshot in the store that :func:`find_node` would open, which may be broken or gone.

    Raises DataError NODE_UNKNOWN or NODE_AMBIGUOUS, and STORE_NAME_KIND of a name for something of another kind.
    """
    store = default_store()
    if _is_snapshot(Path(node)):
        return Snapshot.open(Path(node)).id
    if is_name(node) and (entry := store.pointer(node)) is not None:
        with contextlib.suppress(IntegrityError):  # what cannot be opened is found by whoever reads it
            require_kind(node, store.opened(entry["snapshot"]).kind)
        return entry["snapshot"]
    prefix = f"sha256:{node.removeprefix('sha256:')}"
    known = {*store.snapshot_ids(), *store.snapshot_ids("receipts")} if prefix != "sha256:" else set()
    found = {snapshot_id for snapshot_id in known if snapshot_id.startswith(prefix)}
    if len(found) == 1:
        return found.pop()
    raise DataError(
        "NODE_AMBIGUOUS" if found else "NODE_UNKNOWN",
        "several nodes begin like that" if found else "no node has this id, name or path",
        found=node,
        where=store.root,
        action=_names_like(node, store.all_names()),
    )


def _names_like(wanted: str, names: list[str]) -> str:
    """The names that look most like the one that is not there; the first where none does."""
    if not names:
        return "stemma run: nothing is here yet"
    near = get_close_matches(wanted, names, SHOWN, 0.5) or names[:SHOWN]
    return f"name one of: {', '.join(near)}" + (
        f" and {len(names) - len(near):,} more" if len(names) > len(near) else ""
    )


def find_record(store: Store, text: str) -> bytes:
    """A record by its id, or by any beginning of at least 6 characters that only one record in the store has.

    Raises DataError RECORD_ID, RECORD_UNKNOWN or RECORD_AMBIGUOUS.
    """
    prefix = text.removeprefix("sha256:").lower()
    if 0 < len(prefix) < 6 and not set(prefix) - set("0123456789abcdef"):
        expected = "64 hex characters, or at least the first 6 of them"
        raise DataError("RECORD_ID", "this beginning of a record id is too short", expected=expected, found=text)
    if len(prefix) == 2 * WIDTH or not prefix or set(prefix) - set("0123456789abcdef"):
        return parse_record(text)
    found: set[bytes] = set()
    for key in store.snapshot_ids():
        with contextlib.suppress(StemmaError):
            snapshot = store.opened(key)
            for name in record_tables(snapshot):
                found |= _beginning(snapshot.file(name), prefix)
    if len(found) != 1:
        code = "RECORD_AMBIGUOUS" if found else "RECORD_UNKNOWN"
        what = "several records begin like that" if found else "no record in this store begins like that"
        action = "give more of its 64 characters; `stemma find WORDS` and `stemma batch` show ids"
        raise DataError(
            code, what, expected="a record id or an unambiguous beginning of one", found=text, action=action
        )
    return found.pop()


def _beginning(path: Path, prefix: str) -> set[bytes]:
    """The record ids of a table that begin with some hex characters."""
    low = np.frombuffer(bytes.fromhex(prefix.ljust(2 * WIDTH, "0")), np.uint8)
    high = np.frombuffer(bytes.fromhex(prefix.ljust(2 * WIDTH, "f")), np.uint8)
    bounds = [bytes(bound).ljust(WIDTH) for bound in (low, high)]
    found: set[bytes] = set()
    for batch in iter_records(path):
        first = batch[batch[:, 0] == low[0]] if len(prefix) > 1 else batch
        found |= {row.tobytes() for row in first if bounds[0] <= row.tobytes() <= bounds[1]}
    return found


def find_store(node: str) -> Store:
    """The store that knows a node: where the node is a directory, the one around it, else the default one."""
    path = Path(node).absolute()
    if _is_snapshot(path) and path.parent.name == "snapshots":
        around = Store(path.parents[1])
        if (around.root / "receipts").is_dir():
            return around
    return default_store()


def find_home(node: str) -> tuple[Store, str]:
    """The store of a node and its id. Raises as :func:`find_id`, and DataError NODE_OUTSIDE for a copy in no store."""
    store, snapshot_id = find_store(node), find_id(node)
    if not store.receipts(snapshot_id) and not store.snapshot_path(snapshot_id).exists():
        what, action = "this directory is in no store, so nothing here says how it was made", "stemma verify PATH"
        raise DataError("NODE_OUTSIDE", what, found=snapshot_id, where=node, action=f"check its bytes with {action}")
    return store, snapshot_id


def show(options: Namespace) -> Answer:
    """``stemma show``."""
    description = describe_node(options.node)
    return Answer(document=description, lines=list(node_lines(description)))


def verify(options: Namespace) -> Answer:
    """``stemma verify``."""
    report = verify_node(options.node, Path(options.key) if options.key else None, options.sealed)
    return Answer(document=report, lines=list(verification_lines(report)), ok=report["ok"])


def describe_node(node: str) -> dict[str, Any]:
    """What a node is: its content, statistics, files and every receipt of how it was made."""
    snapshot = find_node(node)
    receipts = [read_document(path) for path in find_store(node).receipts(snapshot.id)]
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


def verify_node(node: str, key: Path | None = None, sealed: bool = False) -> dict[str, Any]:
    """Re-hash files, parts, receipts and the files of every parent, compare receipts with what they speak of, and with
    ``key`` check the node's signatures.

    ``ok`` is False at the first fault. ``bound`` says what holds the files. A directory outside every store that knows
    it is judged by its bytes alone, and the report says so.
    """
    snapshot, store = find_node(node), find_store(node)
    report: dict[str, Any] = {"id": snapshot.id, "kind": snapshot.kind, "ok": True, "checked": [], "error": None}
    try:
        snapshot.verify(deep=True)
        report["checked"].append(f"{len(snapshot.files)} files, {snapshot.bytes:,} bytes")
        inside = snapshot.path.absolute().parent == (store.root / "snapshots").absolute()
        if not store.receipts(snapshot.id) and not inside:
            report["checked"].append("no receipt: this directory is in no store, how it was made was not checked")
        else:
            report |= _verify_receipts(store, snapshot, report["checked"])
        if sealed:
            report["checked"].append(_require_sealed(store, snapshot.id))
        if key:
            from pipeline_defs.answers.signatures import check_signatures

            report["checked"].append(check_signatures(store, snapshot.id, snapshot.path, key))
    except StemmaError as error:
        report |= {"ok": False, "error": str(error)}
    return report


def _require_sealed(store: Store, snapshot_id: str) -> str:
    """Raise IntegrityError SEAL_MISSING unless some receipt of every node of the tree says that it was made sealed."""
    nodes = load_tree(store, [snapshot_id])
    if loose := [node for node in nodes.values() if not was_sealed(node)]:
        shown = ", ".join(f"{node.kind} {node.id[7:19]}" for node in loose[:5])
        action = "stemma run --sealed makes it again, with the same ids"
        what = f"{len(loose)} of {len(nodes)} nodes were not made sealed"
        raise IntegrityError("SEAL_MISSING", what, found=shown, action=action)
    return f"{len(nodes)} nodes made sealed"


def node_lines(description: dict[str, Any]) -> Iterator[str]:
    """For people: one screen."""
    yield f"{description['kind']}  {description['id']}"
    yield f"  {description['path']}  {description['bytes']:,} bytes"
    for name in ("splits", "stats"):
        for key, value in description[name].items():
            yield f"  {name[:-1]:<6}{key:<24}{value}"
    for receipt in description["receipts"]:
        build = receipt["predicate"]["buildDefinition"]
        started = receipt["predicate"]["runDetails"]["metadata"]["startedOn"]
        yield f"  made by {build['externalParameters']['stage']} at {started}"
        for entry in build["resolvedDependencies"]:
            yield f"    from  {entry['name']:<44}{' '.join(f'{k}:{v[:16]}' for k, v in entry['digest'].items())}"
        for key, value in settings_in_words(build["externalParameters"]["config"]):
            yield f"    with  {key:<24}{value}"


def verification_lines(report: dict[str, Any]) -> Iterator[str]:
    """For people: what was checked, then yes or no."""
    yield f"{report['kind']}  {report['id']}"
    for line in report["checked"]:
        yield f"  ok  {line}"
    yield "verified" if report["ok"] else f"BROKEN  {report['error']}"


def _verify_receipts(store: Store, snapshot: Snapshot, checked: list[str]) -> dict[str, Any]:
    """Every receipt about a node, against its files, its parents and what else the store remembers."""
    from training.evidence import contradictions

    nodes = load_tree(store, [snapshot.id])
    node = dataclasses.replace(nodes[snapshot.id], snapshot=snapshot)
    for receipt in node.receipts:
        check_statement(read_document(receipt.path), receipt.path)
        for parent in receipt.parents:
            if store.snapshot_path(parent.id).exists() or find_deletion(store.root, parent.id) is None:
                store.snapshot(parent.id)  # one that was deleted with a receipt is known by that
    check_memory(store, {node.id: node})
    if node.fault:
        raise node.fault
    check_evidence(store, node, {**nodes, node.id: node}, [contradictions])
    for receipt in node.receipts:
        extra = "; EXTRA: nothing in this store names it" if receipt.id in node.extra else ""
        checked.append(f"receipt {receipt.id[:12]} with {len(receipt.parents)} verified parents{extra}")
    schema, words = binding(node)
    checked.append(f"bound by receipts of schema {schema}: {words}")
    return {"bound": {"schema": schema, "by": words}, "extra": sorted(node.extra)}
