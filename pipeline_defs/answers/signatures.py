"""``stemma sign`` and ``verify --key``: the signed bundle and the OpenSSF model signature of a node, kept in the store.

The bundle signs the whole tree, every file of every node, by counts and a head; the model signature covers the files of
the node itself, for tools that know nothing of Stemma.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import IntegrityError, StemmaError, Store
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.queries.bundle import make_bundle
from assets_data.lineage.queries.bundle_check import check_bundle
from assets_data.lineage.queries.explain import explain
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.storage import atomic
from pipeline_defs.answers.answer import Answer, pretty, read_given, short
from pipeline_defs.answers.explain import EVIDENCE
from pipeline_defs.answers.nodes import find_home
from pipeline_defs.answers.signing import require_private_key, sign_bundle, verifier


def sign(options: Namespace) -> Answer:
    """Hash the node's whole tree, then sign it: ``signatures/<id>.bundle.json`` and ``signatures/<id>.model.sig``.

    Raises ConfigError KEY_UNUSABLE before anything is read, and the fault of the first broken node before anything is
    signed; the bundle is written last.
    """
    key = Path(options.key)
    require_private_key(key)
    store, root = find_home(options.node)
    bundle = sign_bundle(make_bundle(_hashed_tree(store, root), root), key)
    facts = check_bundle(bundle)
    bundle_path, model_path = signature_paths(store, root)
    _sign_files(store.snapshot_path(root), model_path, key)
    atomic.write_bytes(bundle_path, pretty(bundle))
    counts = f"{facts['nodes']} nodes, {facts['receipts']} receipts and {facts['files']} files"
    lines = [f"signed {counts}, head {facts['head']}", *(f"  {path}" for path in (bundle_path, model_path))]
    return Answer(document={**facts, "bundle": str(bundle_path), "model": str(model_path)}, lines=lines)


def check_signatures(store: Store, snapshot_id: str, path: Path, key: Path) -> str:
    """What the signatures of a node show, all of its tree hashed against what was signed.

    Raises IntegrityError SIGNATURE_MISSING, _HEAD, _FILES, a BUNDLE_ code or the fault of a broken node.
    """
    bundle_path, model_path = signature_paths(store, snapshot_id)
    if not (bundle_path.is_file() and model_path.is_file()):
        action = "stemma sign NODE --key PRIVATE.pem"
        raise IntegrityError("SIGNATURE_MISSING", "this node is not signed", found=snapshot_id, action=action)
    signed = load_json(bundle_path.read_bytes(), bundle_path)
    facts = check_bundle(signed, verifier(key))
    now = make_bundle(_hashed_tree(store, snapshot_id), snapshot_id)
    if facts["root"] != snapshot_id or not _covers(now, signed):
        what = "nodes or receipts that were signed are not in the store any more"
        raise IntegrityError("SIGNATURE_HEAD", what, expected=facts["head"], where=bundle_path)
    if other := _other_files(now, signed):
        what = "files are not those that were signed"
        raise IntegrityError("SIGNATURE_FILES", what, found=", ".join(other), where=bundle_path)
    _check_files(path, model_path, key)
    counts = f"{facts['nodes']} nodes, {facts['receipts']} receipts, {facts.get('files', 'no')} files"
    return f"signed: {counts}, head {facts['head'][:19]}; it binds {facts['binds']}"


def _hashed_tree(store: Store, root: str) -> Mapping[str, Node]:
    """The node's tree, every file of every node hashed. Raises the fault of the broken node nearest to the sources."""
    tree = explain(store, root, evidence=EVIDENCE)
    if tree.broken and tree.broken.fault:
        raise tree.broken.fault
    return tree.nodes


def _other_files(now: dict[str, Any], signed: dict[str, Any]) -> list[str]:
    """Files of signed nodes that are not as they were signed; none where the bundle names no files."""
    held = {entry["id"]: entry["files"] for entry in now["nodes"]}
    names = ((entry["id"], held[entry["id"]], entry["files"]) for entry in signed["nodes"] if "files" in entry)
    return [
        f"{name} of {short(node)}"
        for node, mine, theirs in names
        for name in sorted({*mine, *theirs})
        if mine.get(name) != theirs.get(name)
    ]


def check_file(options: Namespace) -> Answer:
    """``stemma check-bundle``: a bundle file from anywhere, with a key or without."""
    path = Path(options.file)
    verify = verifier(Path(options.key)) if options.key else None
    facts: dict[str, Any] = check_bundle(read_given(path), verify)
    return Answer(document=facts, lines=[f"{name:<10}{value}" for name, value in facts.items()])


def signature_paths(store: Store, snapshot_id: str) -> tuple[Path, Path]:
    """Where the signed bundle and the model signature of a node are kept."""
    name = snapshot_id.removeprefix("sha256:")
    return store.root / "signatures" / f"{name}.bundle.json", store.root / "signatures" / f"{name}.model.sig"


def with_signatures(store: Store, bundle: dict[str, Any], root: str) -> dict[str, Any]:
    """The bundle with the signatures that are in the store, where they are over this very tree."""
    path, _ = signature_paths(store, root)
    if not path.is_file():
        return bundle
    signed = load_json(path.read_bytes(), path)["envelope"]
    return {**bundle, "envelope": signed} if signed["payload"] == bundle["envelope"]["payload"] else bundle


def _covers(now: dict[str, Any], signed: dict[str, Any]) -> bool:
    """Whether every signed node still has every signed receipt; receipts that came later are no fault."""
    held = {entry["id"]: set(entry["receipts"]) for entry in now["nodes"]}
    return all(set(entry["receipts"]) <= held.get(entry["id"], set()) for entry in signed["nodes"])


def _sign_files(folder: Path, signature: Path, key: Path) -> None:
    from model_signing import signing

    signature.parent.mkdir(parents=True, exist_ok=True)
    temp = atomic.temp_beside(signature)
    try:
        signing.Config().use_elliptic_key_signer(private_key=key).sign(folder, temp)
        atomic.write_bytes(signature, json.dumps(json.loads(temp.read_bytes())).encode())
    finally:
        temp.unlink(missing_ok=True)


def _check_files(folder: Path, signature: Path, key: Path) -> None:
    from model_signing import verifying

    try:
        verifying.Config().use_elliptic_key_verifier(public_key=key).verify(folder, signature)
    except StemmaError:
        raise
    except Exception as error:  # that library raises many kinds; each means that the files are not the signed ones
        what = f"the files are not those that were signed: {error}"
        raise IntegrityError("SIGNATURE_FILES", what, where=folder) from error
