"""Every attack on a finished tree that can be found by looking at it: each file, each JSON field, each table column.

``attacks(store, root)`` yields them, ``carried_out(store, attack)`` puts one in place and takes it out again. Four
levels: ``plain`` edits and no more; ``listed`` also makes the list that names the file fit it (``snapshot.json`` for a
file, its own name and what points to it for a receipt); ``digested`` also makes the identity and the directory's name
fit; ``rewritten`` makes everything of the node fit: its list, the digest in it of what the receipt says, the receipt's
file entries, the receipt's name and what points to it. What nobody re-did is what a verifier can find it by.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, StemmaError, Store, canonical_json, digest_file, digest_json
from assets_data.lineage.identity.digests import logical_digest
from assets_data.lineage.identity.merkle import merkle_root, sorted_records
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.receipts.receipt import made_digest
from assets_data.lineage.storage.records import all_records
from tests.attacks.values import Edit, byte_edits, edit_json, json_edits, table_edits

PLAIN, LISTED, DIGESTED, REWRITTEN = "plain", "listed", "digested", "rewritten"
MANIFEST = "snapshot.json"
KEYED = {"config", "arguments", "requested", "seeds", "parts", "splits", "files", "stats", "annotations", "digest"}
"""Members whose own members are named by data: below them one place is like another."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """``place`` and ``what`` are the same for attacks that any verifier should judge alike; ``where`` is just this one.

    ``node`` is the id of the snapshot attacked and ``path`` the file, relative to the store's root.
    """

    node: str
    kind: str
    place: str
    what: str
    where: str
    level: str
    path: Path
    edit: Edit

    @property
    def name(self) -> str:
        """For people, and for a test's failure."""
        return f"{self.kind}: {self.path.name} {self.where} {self.what} ({self.level})"


def attacks(store: Store, root: str) -> Iterator[Attack]:
    """Every attack on every node below ``root``; an edit that changes nothing is none."""
    for node in load_tree(store, [root]).values():
        snapshot = store.opened(node.id)
        for name, entry in snapshot.files.items():
            owner = "part" if entry["part"] else "sidecar"
            levels = (PLAIN, LISTED, DIGESTED, REWRITTEN) if entry["part"] else (PLAIN, LISTED, REWRITTEN)
            yield from _on_file(store, snapshot, snapshot.path / name, owner, levels)
        yield from _on_manifest(store, snapshot)
        for receipt in node.receipts:
            yield from _on_receipt(store, snapshot, receipt.path)


@contextlib.contextmanager
def carried_out(store: Store, attack: Attack) -> Iterator[bool]:
    """The attack in place. False when it cannot be made at its level (what it leaves has no digest)."""
    touched = [store.snapshot_path(attack.node), *(store.root / name for name in ("receipts", "pointers", "stages"))]
    backup = store.root.with_name("before")
    for path in touched:
        shutil.copytree(path, backup / path.relative_to(store.root), symlinks=True)
    known = set(store.snapshot_ids())
    try:
        yield _carry_out(store, attack)
    finally:
        for path in (*touched, *(store.snapshot_path(new) for new in set(store.snapshot_ids()) - known)):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(backup, store.root, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(backup)


def _carry_out(store: Store, attack: Attack) -> bool:
    path = store.root / attack.path
    before = path.read_bytes()
    attack.edit(path)
    if attack.level == PLAIN:
        return True
    if attack.path.parts[0] == "receipts":
        if attack.level == LISTED:
            return _rename_receipt(store, path)
        made = _rewrite(store, attack.node, path)
        return made and not (path.is_file() and path.read_bytes() == before)  # what is made to fit may be what it was
    if not _relist(store, attack, path):
        return False
    if attack.level == REWRITTEN:
        return _rewrite(store, attack.node)
    return attack.level == LISTED or _redigest(store, attack)


def _on_file(store: Store, snapshot: Snapshot, path: Path, owner: str, levels: tuple[str, ...]) -> Iterator[Attack]:
    found: list[tuple[str, str, str, Edit]] = []
    if path.suffix == ".json":
        edits = json_edits(json.loads(path.read_bytes()))
        found += [("field", what, _dotted(field), edit_json(change)) for what, field, change in edits]
    if path.suffix in (".arrow", ".parquet"):
        found += [("column" if name else "rows", what, name, edit) for what, name, edit in table_edits(path)]
    found += [("bytes", what.split(" at ")[0], "", edit) for what, edit in byte_edits(path)]
    found.append(("file", "gone", "", Path.unlink))
    found.append(("file", "linked", "", _link))
    found.append(("folder", "one more file", "", lambda file: file.with_name("attack.bin").write_bytes(b"x")))
    for place, what, where, edit in found:
        for level in levels:
            if not ((what == "linked" and level != PLAIN) or (place == "folder" and level == DIGESTED)):
                yield _attack(store, snapshot, path, f"{owner} {place}", what, where, level, edit)


def _on_manifest(store: Store, snapshot: Snapshot) -> Iterator[Attack]:
    path = snapshot.path / MANIFEST
    for what, field, change in json_edits(json.loads(path.read_bytes())):
        for level in (PLAIN, DIGESTED) if field[0] == "content" else (PLAIN, REWRITTEN):
            place = f"snapshot.json {_general(field)}"
            yield _attack(store, snapshot, path, place, what, _dotted(field), level, edit_json(change))
    yield _attack(store, snapshot, path, "snapshot.json", "gone", "", PLAIN, Path.unlink)
    spaced: Edit = lambda file: file.write_bytes(file.read_bytes().replace(b":", b": ", 1))  # noqa: E731
    for level in (PLAIN, REWRITTEN):
        yield _attack(store, snapshot, path, "snapshot.json", "a space", "", level, spaced)


def _on_receipt(store: Store, snapshot: Snapshot, path: Path) -> Iterator[Attack]:
    for what, field, change in json_edits(json.loads(path.read_bytes())):
        for level in (PLAIN, LISTED, REWRITTEN):
            place = f"receipt {_general(field)}"
            yield _attack(store, snapshot, path, place, what, _dotted(field), level, edit_json(change))
    for what, edit in byte_edits(path):
        yield _attack(store, snapshot, path, "receipt bytes", what, "", PLAIN, edit)
    yield _attack(store, snapshot, path, "receipt", "gone", "", PLAIN, Path.unlink)


def _attack(
    store: Store, snapshot: Snapshot, path: Path, place: str, what: str, where: str, level: str, edit: Edit
) -> Attack:
    what = "a byte flipped" if what.endswith(" flipped") else what
    return Attack(
        node=snapshot.id,
        kind=snapshot.kind,
        place=place,
        what=what,
        where=where,
        level=level,
        path=path.relative_to(store.root),
        edit=edit,
    )


def _relist(store: Store, attack: Attack, path: Path) -> bool:
    """``snapshot.json`` names what lies there now, and of the folder every file."""
    manifest = store.snapshot_path(attack.node) / MANIFEST
    document = json.loads(manifest.read_bytes())
    if path == manifest:
        return attack.level == REWRITTEN or _write(manifest, document)
    files = document["files"]
    for file in (path, path.with_name("attack.bin")):
        name = str(file.relative_to(manifest.parent))
        if file.is_file():
            part = files.get(name, {"part": False})["part"]
            files[name] = {"bytes": file.stat().st_size, "sha256": digest_file(file), "part": part}
        else:
            files.pop(name, None)
    return _write(manifest, document)


def _redigest(store: Store, attack: Attack) -> bool:
    """The identity as it would be had the stage written this, and the directory under its new name."""
    folder = store.snapshot_path(attack.node)
    manifest = folder / MANIFEST
    document = json.loads(manifest.read_bytes())
    try:
        content = document["content"]
        if attack.path.name != MANIFEST:
            parts = {name for name, entry in document["files"].items() if entry["part"]}
            content["parts"] = {Path(name).stem: logical_digest(folder / name) for name in parts}
        document["id"] = digest_json(content)
        if not _write(manifest, document) or not _name(folder, document["id"]):
            return False
        if attack.path.name != MANIFEST and content["records"] is not None:
            return _recount(store, document)
    except (StemmaError, ValueError, TypeError, KeyError, AttributeError, OSError):
        return False  # nobody can make an identity of this
    return True


def _recount(store: Store, document: dict[str, Any]) -> bool:
    """Record count and root as the tables have them now."""
    snapshot = store.opened(document["id"])
    leaves = sorted_records(all_records(snapshot))
    document["content"]["records"] = {"count": len(leaves), "root": merkle_root(leaves)}
    document["id"] = digest_json(document["content"])
    return _write(snapshot.path / MANIFEST, document) and _name(snapshot.path, document["id"])


def _rewrite(store: Store, node: str, edited: Path | None = None) -> bool:
    """Whatever of the node names whatever else of it is made to fit: ``snapshot.json`` to an edited receipt, and every
    receipt to that and to the files.
    """
    folder = store.snapshot_path(node)
    manifest = folder / MANIFEST
    try:
        document = json.loads(manifest.read_bytes())
        if edited and "made" in document:
            document["made"] = made_digest(json.loads(edited.read_bytes())["predicate"])
            _write(manifest, document)
        files = {name: entry["sha256"].removeprefix("sha256:") for name, entry in document["files"].items()}
        files[MANIFEST] = digest_file(manifest).removeprefix("sha256:")
        for path in sorted((store.root / "receipts" / folder.name).glob("*.json")):
            receipt = json.loads(path.read_bytes())
            details = receipt["predicate"]["runDetails"]
            kept = [entry for entry in details["byproducts"] if not entry["name"].startswith("file=")]
            named = [{"name": f"file={name}", "digest": {"sha256": files[name]}} for name in sorted(files)]
            details["byproducts"] = [*kept, *named]
            path.write_bytes(canonical_json(receipt))
            _rename_receipt(store, path)
    except (StemmaError, ValueError, TypeError, KeyError, AttributeError, OSError):
        return False  # nobody can make this fit
    return True


def _rename_receipt(store: Store, path: Path) -> bool:
    """The receipt under its new digest, and every pointer and stage record with it."""
    old = path.relative_to(store.root)
    new = old.with_name(f"{hashlib.sha256(path.read_bytes()).hexdigest()}.json")
    path.rename(store.root / new)
    for memory in (*(store.root / "pointers").rglob("*.json"), *(store.root / "stages").glob("*.json")):
        memory.write_bytes(memory.read_bytes().replace(str(old).encode(), str(new).encode()))
    return True


def _name(folder: Path, snapshot_id: str) -> bool:
    target = folder.with_name(snapshot_id.removeprefix("sha256:"))
    if target == folder or target.exists():
        return target == folder
    folder.rename(target)
    return True


def _write(path: Path, document: Any) -> bool:
    path.write_bytes(canonical_json(document) + b"\n")
    return True


def _link(path: Path) -> None:
    """The very bytes, from outside the snapshot."""
    outside = path.parents[2] / "pointers" / f"{path.name}.outside"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


def _dotted(field: tuple[Any, ...]) -> str:
    return ".".join(map(str, field))


def _general(field: tuple[Any, ...]) -> str:
    """The field without what data decides: places in lists, and everything below a member that data names."""
    names: list[str] = []
    for part in field:
        if names and names[-1] in KEYED:
            names.append("*")
            break
        names.append("[]" if isinstance(part, int) else str(part))
    return ".".join(names)
