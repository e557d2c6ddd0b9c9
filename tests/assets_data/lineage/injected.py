"""Single faults put into a finished chain's store, each with the id of the node that is broken by it.

Used by the tests and by the benchmark that injects 200 of them. A fault is put in place and taken out again.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from assets_data.lineage import Store, canonical_json
from assets_data.lineage.queries.tree import Node, load_tree

Broken = tuple[str, list[Path]]


@contextlib.contextmanager
def injected(store: Store, root: str, kind: str, rng: random.Random) -> Iterator[str]:
    """One fault of ``kind`` somewhere below ``root``; gives the broken node's id and heals it afterwards."""
    nodes = list(load_tree(store, [root]).values())
    backup = store.root.with_name("backup")
    node = rng.choice([node for node in nodes if _HAS[kind](node)])
    touched = [node.snapshot.path, *(receipt.path for receipt in node.receipts)]
    for path in touched:
        target = backup / path.relative_to(store.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, target) if path.is_dir() else shutil.copyfile(path, target)
    try:
        FAULTS[kind](node, rng)
        yield node.id
    finally:
        for path in touched:
            _restore(path, backup / path.relative_to(store.root))
        for receipt in node.receipts:
            for extra in set(receipt.path.parent.iterdir()) - {a.path for a in node.receipts}:
                extra.unlink()
        shutil.rmtree(backup)


def _restore(path: Path, saved: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(saved, path) if saved.is_dir() else shutil.copyfile(saved, path)


def _bit_flip(node: Node, rng: random.Random) -> None:
    path = _file(node, rng)
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _cut_short(node: Node, rng: random.Random) -> None:
    path = _file(node, rng)
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def _swapped_shards(node: Node, rng: random.Random) -> None:
    one, two = rng.sample(_files(node), 2)
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)


def _lost_file(node: Node, rng: random.Random) -> None:
    _file(node, rng).unlink()


def _added_file(node: Node, rng: random.Random) -> None:
    (node.snapshot.path / "extra.bin").write_bytes(b"x")


def _reordered_rows(node: Node, rng: random.Random) -> None:
    import pyarrow as pa

    path = rng.choice([path for path in _files(node) if path.suffix == ".arrow" and _rows(path) > 1])
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    turned = table.take(pa.array(range(table.num_rows - 1, -1, -1)))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(turned)
    _relist(node, path)  # and the list made to fit: only the values can tell


def _value_changed_list_made_to_fit(node: Node, rng: random.Random) -> None:
    path = rng.choice(
        [path for path in _files(node) if path.suffix == ".json" and node.snapshot.files[path.name]["part"]]
    )
    path.write_bytes(canonical_json([json.loads(path.read_bytes()), "changed"]) + b"\n")
    _relist(node, path)


def _edited_identity(node: Node, rng: random.Random) -> None:
    path = node.snapshot.path / "snapshot.json"
    document = json.loads(path.read_bytes())
    document["content"]["kind"] += "x"
    path.write_bytes(canonical_json(document))


def _edited_config(node: Node, rng: random.Random) -> None:
    _edit_receipt(node, lambda document: _parameters(document)["config"].update(edited=True))


def _hidden_dirty_tree(node: Node, rng: random.Random) -> None:
    tree = lambda document: document["predicate"]["buildDefinition"]["resolvedDependencies"][-2]  # noqa: E731
    _edit_receipt(node, lambda document: tree(document).update(annotations={"dirty": "no"}))


def _edited_parent(node: Node, rng: random.Random) -> None:
    _edit_receipt(node, lambda document: _dependencies(document)[0]["digest"].update(sha256="0" * 64))


def _receipt_of_another_renamed(node: Node, rng: random.Random) -> None:
    """Rewritten whole and renamed to its new digest, about a node that is not there."""
    import hashlib

    receipt = node.receipts[0]
    document = json.loads(receipt.path.read_bytes())
    document["subject"][0]["digest"]["sha256"] = "0" * 64
    data = canonical_json(document)
    (receipt.path.parent / f"{hashlib.sha256(data).hexdigest()}.json").write_bytes(data)


def _truncated_history(node: Node, rng: random.Random) -> None:
    rng.choice(node.receipts).path.unlink()


def _lost_snapshot(node: Node, rng: random.Random) -> None:
    shutil.rmtree(node.snapshot.path)


def _edit_receipt(node: Node, change: Callable[[Any], object]) -> None:
    path = node.receipts[0].path
    document = json.loads(path.read_bytes())
    change(document)
    path.write_bytes(canonical_json(document))


def _relist(node: Node, path: Path) -> None:
    from assets_data.lineage import digest_file

    listed = node.snapshot.path / "snapshot.json"
    document = json.loads(listed.read_bytes())
    document["files"][path.name] |= {"bytes": path.stat().st_size, "sha256": digest_file(path)}
    listed.write_bytes(canonical_json(document))


def _parameters(document: Any) -> Any:
    return document["predicate"]["buildDefinition"]["externalParameters"]


def _dependencies(document: Any) -> Any:
    return document["predicate"]["buildDefinition"]["resolvedDependencies"]


def _files(node: Node) -> list[Path]:
    """Files with bytes in them, no two with the same."""
    files = {entry["sha256"]: node.snapshot.path / name for name, entry in sorted(node.snapshot.files.items())}
    return [path for path in files.values() if path.stat().st_size]


def _file(node: Node, rng: random.Random) -> Path:
    return rng.choice(_files(node))


def _rows(path: Path) -> int:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all().num_rows


FAULTS: dict[str, Callable[[Node, random.Random], None]] = {
    "bit flip": _bit_flip,
    "cut short": _cut_short,
    "swapped shards": _swapped_shards,
    "lost file": _lost_file,
    "added file": _added_file,
    "reordered rows": _reordered_rows,
    "value changed": _value_changed_list_made_to_fit,
    "edited identity": _edited_identity,
    "edited config": _edited_config,
    "hidden dirty tree": _hidden_dirty_tree,
    "edited parent": _edited_parent,
    "foreign receipt": _receipt_of_another_renamed,
    "truncated history": _truncated_history,
    "lost snapshot": _lost_snapshot,
}
_HAS: dict[str, Callable[[Node], bool]] = dict.fromkeys(FAULTS, lambda node: True) | {
    "swapped shards": lambda node: len(_files(node)) > 1,
    "reordered rows": lambda node: any(p.suffix == ".arrow" and _rows(p) > 1 for p in _files(node)),
    "value changed": lambda node: any(
        p.suffix == ".json" and node.snapshot.files[p.name]["part"] for p in _files(node)
    ),
    "edited parent": lambda node: bool(node.parents),
}
