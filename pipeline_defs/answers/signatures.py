"""``stemma sign`` and ``verify --key``: the signed bundle and the OpenSSF model signature of a node, kept in the store.

The bundle signs the whole tree by its head and count; the model signature covers the files of the node itself.
"""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from assets_data.lineage import IntegrityError, StemmaError, Store
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.queries.bundle import make_bundle
from assets_data.lineage.queries.bundle_check import check_bundle
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.storage import atomic
from pipeline_defs.answers.answer import Answer
from pipeline_defs.answers.exports.json_text import pretty
from pipeline_defs.answers.nodes import default_store, find_node
from pipeline_defs.answers.signing import sign_bundle, verifier


def sign(options: Namespace) -> Answer:
    """Verify the node's tree, then sign it: ``signatures/<id>.bundle.json`` and ``signatures/<id>.model.sig``."""
    store, snapshot = default_store(), find_node(options.node)
    snapshot.verify(deep=True)
    bundle = sign_bundle(make_bundle(load_tree(store, [snapshot.id]), snapshot.id), Path(options.key))
    bundle_path, model_path = signature_paths(store, snapshot.id)
    atomic.write_bytes(bundle_path, pretty(bundle))
    _sign_files(snapshot.path, model_path, Path(options.key))
    facts = check_bundle(bundle)
    lines = [f"signed {facts['nodes']} nodes and {facts['receipts']} receipts, head {facts['head']}"]
    lines += [f"  {path}" for path in (bundle_path, model_path)]
    return Answer(document={**facts, "bundle": str(bundle_path), "model": str(model_path)}, lines=lines)


def check_signatures(store: Store, snapshot_id: str, path: Path, key: Path) -> str:
    """What the signatures of a node show. Raises IntegrityError SIGNATURE_MISSING, _HEAD, _FILES or a BUNDLE_ code."""
    bundle_path, model_path = signature_paths(store, snapshot_id)
    if not (bundle_path.is_file() and model_path.is_file()):
        action = "stemma sign NODE --key PRIVATE.pem"
        raise IntegrityError("SIGNATURE_MISSING", "this node is not signed", found=snapshot_id, action=action)
    facts = check_bundle(load_json(bundle_path.read_bytes(), bundle_path), verifier(key))
    now = make_bundle(load_tree(store, [snapshot_id]), snapshot_id)
    if facts["root"] != snapshot_id or not _covers(now, load_json(bundle_path.read_bytes(), bundle_path)):
        what = "nodes or receipts that were signed are not in the store any more"
        raise IntegrityError("SIGNATURE_HEAD", what, expected=facts["head"], where=bundle_path)
    _check_files(path, model_path, key)
    return f"signed: {facts['nodes']} nodes, {facts['receipts']} receipts, head {facts['head'][:19]}"


def check_file(options: Namespace) -> Answer:
    """``stemma check-bundle``: a bundle file from anywhere, with a key or without."""
    path = Path(options.file)
    verify = verifier(Path(options.key)) if options.key else None
    facts: dict[str, Any] = check_bundle(load_json(path.read_bytes(), path), verify)
    return Answer(document=facts, lines=[f"{name:<10}{value}" for name, value in facts.items()])


def signature_paths(store: Store, snapshot_id: str) -> tuple[Path, Path]:
    """Where the signed bundle and the model signature of a node are kept."""
    name = snapshot_id.removeprefix("sha256:")
    return store.root / "signatures" / f"{name}.bundle.json", store.root / "signatures" / f"{name}.model.sig"


def _covers(now: dict[str, Any], signed: dict[str, Any]) -> bool:
    """Whether every signed node still has every signed receipt; receipts that came later are no fault."""
    held = {entry["id"]: set(entry["receipts"]) for entry in now["nodes"]}
    return all(set(entry["receipts"]) <= held.get(entry["id"], set()) for entry in signed["nodes"])


def _sign_files(folder: Path, signature: Path, key: Path) -> None:
    from model_signing import signing

    signature.parent.mkdir(parents=True, exist_ok=True)
    temp = atomic.temp_beside(signature)
    signing.Config().use_elliptic_key_signer(private_key=key).sign(folder, temp)
    atomic.write_bytes(signature, json.dumps(json.loads(temp.read_bytes())).encode())
    temp.unlink()


def _check_files(folder: Path, signature: Path, key: Path) -> None:
    from model_signing import verifying

    try:
        verifying.Config().use_elliptic_key_verifier(public_key=key).verify(folder, signature)
    except StemmaError:
        raise
    except Exception as error:  # that library raises many kinds; each means that the files are not the signed ones
        what = f"the files are not those that were signed: {error}"
        raise IntegrityError("SIGNATURE_FILES", what, where=folder) from error
