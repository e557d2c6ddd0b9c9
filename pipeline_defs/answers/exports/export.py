"""``stemma export``: what the store knows of a node, in the files other tools read. Writes files, changes nothing."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError, Store
from assets_data.lineage.queries.bundle import make_bundle
from assets_data.lineage.queries.tree import Node, load_tree
from assets_data.lineage.storage.atomic import disk_errors, write_bytes
from pipeline_defs.answers.answer import Answer, pretty
from pipeline_defs.answers.exports.croissant import croissant
from pipeline_defs.answers.exports.cyclonedx import cyclonedx
from pipeline_defs.answers.exports.hf_folder import write_hf_folder
from pipeline_defs.answers.exports.openlineage import run_events
from pipeline_defs.answers.nodes import find_home
from pipeline_defs.answers.signatures import with_signatures

Tree = Mapping[str, Node]


def export(options: Namespace) -> Answer:
    """Write the export; the answer lists what was written."""
    store, root = find_home(options.node)
    tree = load_tree(store, [root])
    for node in tree.values():
        if node.fault:
            raise node.fault
    kind = tree[root].kind.replace("/", "-")
    target = Path(options.output or f"{kind}.{_SUFFIXES[options.format]}")
    with disk_errors(target):
        written = _WRITERS[options.format](store, tree, root, target)
    document = {"id": root, "format": options.format, "files": [str(path) for path in written]}
    return Answer(document=document, lines=[f"{options.format}: {path}" for path in written])


def _in_toto(store: Store, tree: Tree, root: str, target: Path) -> list[Path]:
    return _write(target, with_signatures(store, make_bundle(tree, root), root))


def _croissant(_store: Store, tree: Tree, root: str, target: Path) -> list[Path]:
    return _write(target, croissant(tree, root))


def _cyclonedx(_store: Store, tree: Tree, root: str, target: Path) -> list[Path]:
    _require_checkpoint(tree[root])
    return _write(target, cyclonedx(tree, root))


def _openlineage(_store: Store, tree: Tree, root: str, target: Path) -> list[Path]:
    return _write(target, run_events(tree))


def _hf(_store: Store, tree: Tree, root: str, target: Path) -> list[Path]:
    _require_checkpoint(tree[root])
    return write_hf_folder(tree, root, target)


def _write(target: Path, document: Any) -> list[Path]:
    write_bytes(target, pretty(document))
    return [target]


def _require_checkpoint(node: Node) -> None:
    if not node.kind.endswith("/checkpoint"):
        raise DataError(
            "EXPORT_NO_MODEL", "this format describes a trained model", expected="a checkpoint", found=node.kind
        )


_SUFFIXES = {
    "in-toto": "bundle.json",
    "croissant": "croissant.json",
    "cyclonedx": "cdx.json",
    "openlineage": "openlineage.json",
    "hf": "hf",
}
_WRITERS: dict[str, Callable[[Store, Tree, str, Path], list[Path]]] = {
    "in-toto": _in_toto,
    "croissant": _croissant,
    "cyclonedx": _cyclonedx,
    "openlineage": _openlineage,
    "hf": _hf,
}
