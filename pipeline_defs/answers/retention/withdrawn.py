"""Removing what holds withdrawn records once its successors stand; the receipt says what, when and by which request.

Goes: every snapshot that a withdrawal marked (it held the records, learned from them or descended from those), its run
directories, and copies of what the records said in fetched parts, caches, quarantine and leftovers. Stays: learners
that a person chose to keep, which are disclosed; and, until it moves, what a name, a champion or a legal hold needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage.deletions import begin_deletion, deletion_entry, finish_deletion, unfinished
from assets_data.lineage.storage.record_rows import holds_any
from assets_data.lineage.storage.tombstones import FOLDER, read_tombstones
from pipeline_defs.answers.champion.standing import champions, is_promotion
from pipeline_defs.answers.retention.collect import empty_trash, remove_snapshots, throw_away
from pipeline_defs.answers.retention.holds import read_holds
from pipeline_defs.answers.retention.needs import PROOFS, Needs, find_needs, needed_runs, with_ancestors
from pipeline_defs.answers.retention.traces import holds_piece, other_pieces, record_pieces

WHY = "withdrawn"
COPIES = ("fetch/*/cache/*", "cache/**/*", "quarantine/**/*", "**/.tmp-*", "reports/*", "runs/**/*")
"""Below the store's root: files that lose nothing but time where they go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to go for all withdrawals: snapshots, children first; why others wait; the records' text in pieces."""

    needs: Needs
    going: list[str]
    waiting: Mapping[str, list[str]]
    requests: list[str]
    pieces: frozenset[bytes]

    @property
    def snapshots(self) -> list[Snapshot]:
        """Those that go."""
        return [node.snapshot for key in self.going if (node := self.needs.nodes[key]).snapshot]


def plan_removal(store: Store) -> Request:
    """What of all that was withdrawn may go now."""
    needs = find_needs(store)
    documents = read_tombstones(store.root)
    disclosed = {key for document in documents for key in document.get("disclosed", [])}
    history = {key for key, node in needs.nodes.items() if is_promotion(node.kind)}  # names ids, holds nothing
    marked = {key for document in documents for key in document["marked"]} - disclosed - history
    waiting = with_ancestors(needs.nodes, _blocking(store, marked))
    present = [key for key in reversed(needs.nodes) if key in marked and needs.nodes[key].snapshot]
    going = [key for key in present if key not in waiting]
    return Request(
        needs=needs,
        going=going,
        waiting={key: list(waiting[key]) for key in present if key in waiting},
        requests=sorted(path.stem for path in (store.root / FOLDER).glob("*.json")),
        pieces=frozenset(_pieces(store, needs, going)),
    )


def remove_withdrawn(store: Store, plan: Request) -> list[Path]:
    """Remove the snapshots and run directories; the receipts that are to be ended by :func:`end_removal`, also that of
    a removal which was killed.
    """
    empty_trash(store)
    if plan.going:
        folders = _run_folders(store, plan)
        entries = {snapshot.id: deletion_entry(snapshot) for snapshot in plan.snapshots}
        begin_deletion(
            store.root,
            {
                "why": WHY,
                "requests": plan.requests,
                "snapshots": entries,
                "folders": [str(folder.relative_to(store.root.parent)) for folder in folders],
                "proofs": _proofs(store, entries),
                "pieces": sorted(piece.hex() for piece in plan.pieces),
            },
        )
        for folder in folders:
            throw_away(store, folder)
        remove_snapshots(store, plan.going)
    return [path for path, document in unfinished(store.root).items() if document["why"] == WHY]


def remove_copies(store: Store, pieces: Collection[bytes]) -> list[str]:
    """Remove the files under ``COPIES`` that say one of the pieces; their names."""
    found = {path for pattern in COPIES for path in store.root.glob(pattern) if path.is_file()}
    copies = sorted(path for path in found if holds_piece(path, pieces))
    for path in copies:
        throw_away(store, path)
    return [str(path.relative_to(store.root.parent)) for path in copies]


def remaining_traces(root: Path, pieces: Collection[bytes], besides: Iterable[Path] = ()) -> list[str]:
    """Every file below a root that still says one of the pieces."""
    skipped = set(besides)
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())
    return [str(path.relative_to(root)) for path in files if path not in skipped and holds_piece(path, pieces)]


def unfinished_pieces(paths: Iterable[Path]) -> set[bytes]:
    """The pieces that unfinished receipts keep, so that a second attempt knows what to look for."""
    return {bytes.fromhex(piece) for path in paths for piece in load_json(path.read_bytes(), path)["pieces"]}


def end_removal(path: Path, **facts: Any) -> dict[str, Any]:
    """Finish the receipt; what the records said leaves it."""
    return finish_deletion(path, pieces=[], **facts)


def _blocking(store: Store, marked: Collection[str]) -> dict[str, list[str]]:
    """What still needs a marked snapshot although it was withdrawn: a name that was not moved, a champion, a hold."""
    found: dict[str, list[str]] = {}
    for name in store.all_names():
        if (entry := store.pointer(name)) and entry["snapshot"] in marked:
            found.setdefault(entry["snapshot"], []).append(f"the name {name} stands for it: {_how_to_move(name)}")
    for recipe, standing in champions(store).items():
        for key in set(standing.needs) & set(marked):
            found.setdefault(key, []).append(f"champion of {recipe}: {_how_to_move(recipe)}")
    for hold in read_holds(store):
        found.setdefault(hold["snapshot"], []).append(f"legal hold: {hold['reason']}")
    return found


def _how_to_move(name: str) -> str:
    return f"promote what took its place, `stemma promote {name.partition('/')[0]}`"


def _pieces(store: Store, needs: Needs, going: Sequence[str]) -> set[bytes]:
    gone, stay = store.withdrawn, []
    holders = []
    for key, node in needs.nodes.items():
        if node.snapshot and key in going and holds_any(node.snapshot, gone):
            holders.append(node.snapshot)
        elif node.snapshot and key not in going:
            stay.append(node.snapshot)
    found = record_pieces(holders, [record.tobytes() for record in gone])
    return found - other_pieces(stay, found) if found else set()


def _run_folders(store: Store, plan: Request) -> list[Path]:
    """The run directories of checkpoints that go, where no checkpoint that stays was trained in them."""
    stay = needed_runs(plan.needs.nodes, set(plan.needs.nodes) - set(plan.going))
    going = needed_runs(plan.needs.nodes, plan.going) - stay
    return [path for name in sorted(going) if (path := store.root / "runs" / name).is_dir()]


def _proofs(store: Store, entries: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What can still be shown of each snapshot: its record root, its receipts, and proofs that were given out."""
    notes = [load_json(path.read_bytes(), path) for path in sorted((store.root / PROOFS).glob("*.json"))]
    return [
        {
            "snapshot": key,
            "records": entry["content"]["records"],
            "receipts": [path.stem for path in store.receipts(key)],
            "given": [note for note in notes if note["snapshot"] == key],
        }
        for key, entry in entries.items()
    ]
