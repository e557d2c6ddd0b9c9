"""The four who may find an attack: ``verify`` of the node, ``explain`` of the tree, ``verify --key``, and a stranger.

The stranger has Python's standard library, the signed bundle's envelope, and what the attacked store exports.
"""

from __future__ import annotations

import hashlib
import json
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import StemmaError, Store
from assets_data.lineage.queries.bundle import make_bundle
from assets_data.lineage.queries.explain import explain
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.receipts.code import ROOT
from pipeline_defs.answers.explain import EVIDENCE
from pipeline_defs.answers.nodes import verify_node
from pipeline_defs.answers.signatures import signature_paths
from tests.attacks.corpus import Attack

VERIFY, EXPLAIN, KEY, STRANGER = "verify", "explain", "verify --key", "stranger"


def judges(store: Store, root: str, key: Path) -> Mapping[str, Callable[[Attack], bool]]:
    """Who finds an attack on the tree of ``root``, which is signed and in the default store. True: found.

    Anything but a coded refusal is raised: a verifier that falls over has found nothing.
    """
    bundle_path, _ = signature_paths(store, root)
    envelope = json.loads(bundle_path.read_bytes())["envelope"]
    stranger = runpy.run_path(str(ROOT / "docs" / "verifier" / "verify_bundle.py"))

    def by_stranger(attack: Attack) -> bool:
        try:
            bundle = {**make_bundle(load_tree(store, [root]), root), "envelope": envelope}
            stranger["check_bundle"](json.dumps(bundle).encode(), key.read_text())
        except (StemmaError, stranger["Refused"]):
            return True
        return not _same_files(store, bundle)

    return {
        VERIFY: lambda attack: _refused(lambda: verify_node(attack.node)["ok"]),
        EXPLAIN: lambda attack: _refused(lambda: explain(store, root, evidence=EVIDENCE).broken is None),
        KEY: lambda attack: _refused(lambda: verify_node(root, key)["ok"]),
        STRANGER: by_stranger,
    }


def _refused(holds: Callable[[], bool]) -> bool:
    try:
        return not holds()
    except StemmaError:
        return True


def _same_files(store: Store, bundle: Mapping[str, Any]) -> bool:
    """What ``sha256sum`` says of the files that a bundle names."""
    for entry in bundle["nodes"]:
        folder = store.snapshot_path(entry["id"])
        held = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        if held != set(entry["files"]):
            return False
        for name, (size, digest) in entry["files"].items():
            data = (folder / name).read_bytes()
            if len(data) != size or f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
                return False
    return True
