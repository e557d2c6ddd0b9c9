"""Where records went: every snapshot that names them, every one that learned from them, every descendant of those.

Promises to miss nothing: a snapshot of a kind that nobody declared is taken to have learned from all it read, unless
its tables name records.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from assets_data.lineage.queries.tree import Node, load_tree
from assets_data.lineage.receipts.receipt import WITHDRAWN_FROM
from assets_data.lineage.storage.record_rows import record_splits, records_held
from assets_data.lineage.storage.records import record_tables
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.store import Store

HOLDS, LEARNED, DESCENDS = "holds", "learned", "descends"
NOTHING, ROWS, EVERYTHING, SPLIT = "nothing", "rows", "everything", "split:"
"""What a kind learns from what it reads; the last with the name of the split it learns from behind it."""

PartChanges = Callable[[Snapshot, Snapshot, Collection[bytes]], bool]


@dataclass(slots=True, kw_only=True)
class Effect:
    """What one snapshot has to do with the records. ``rows`` is by table, for holders; ``through`` are the ids of the
    parents that brought it here; ``learned``: it or an ancestor of it learned from them.
    """

    node: Node
    how: str
    learned: bool
    rows: Mapping[str, int] = field(default_factory=dict[str, int])
    through: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is declared of kinds: ``learns(kind)`` is one of the words above, None for an unknown kind; ``part(kind,
    input)`` says of an input that only counts in part whether taking records out of it changes that part.
    """

    learns: Callable[[str], str | None]
    part: Callable[[str, str], PartChanges | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Every effect, parents first, and the splits the records were put in ("" where no table says). ``unread`` are
    nodes that could not be read: whether they hold the records is not known.
    """

    effects: Mapping[str, Effect]
    splits: frozenset[str]
    unread: Mapping[str, Node]


def all_nodes(store: Store) -> dict[str, Node]:
    """Every snapshot in the store, parents first, also those that no name stands for any more."""
    return load_tree(store, store.snapshot_ids())


def find_reach(nodes: Mapping[str, Node], records: Collection[bytes], rules: Rules) -> Reach:
    """Follow ``records`` through ``nodes`` (parents first, see :func:`all_nodes`)."""
    held = {key: found for key, node in nodes.items() if (found := _rows_held(node, records))}
    derived = [nodes[key] for key in held if nodes[key].parents]  # a source's own word on splits is not yet a use
    splits = {split for node in derived for split in _splits(node, records)} - {""}
    effects: dict[str, Effect] = {}
    for key, node in nodes.items():
        through = _through(node, effects, records, rules)
        if key in held:
            learned = _any_learned(through, effects)
            effects[key] = Effect(node=node, how=HOLDS, rows=held[key], through=through, learned=learned)
        elif how := _how(node, through, effects, splits, rules):
            learned = how == LEARNED or _any_learned(through, effects)
            effects[key] = Effect(node=node, how=how, through=through, learned=learned)
    unread = {key: node for key, node in nodes.items() if node.snapshot is None and node.deletion is None}
    return Reach(effects=effects, splits=frozenset(splits), unread=unread)


def _through(node: Node, effects: Mapping[str, Effect], records: Collection[bytes], rules: Rules) -> list[str]:
    """The affected parents whose content lives on in a node: not the one it was redacted from, whose records it names
    itself, and not one of which the part that counts stays as it is.
    """
    found: dict[str, None] = {}
    for parent in (parent for receipt in node.receipts for parent in receipt.parents):
        if parent.id in effects and parent.id not in found and parent.input != WITHDRAWN_FROM:
            part, read = rules.part(node.kind, parent.input), effects[parent.id].node.snapshot
            if part is None or read is None or node.snapshot is None or part(read, node.snapshot, records):
                found[parent.id] = None
    return list(found)


def _how(node: Node, through: list[str], effects: Mapping[str, Effect], splits: set[str], rules: Rules) -> str:
    """A non-holder's part: it learned from a holder, or it descends from what did, or (the empty string) neither."""
    direct = any(effects[parent].how == HOLDS for parent in through)
    learns = rules.learns(node.kind)
    if learns is None:  # it names the records it took, and took none of these; or it names none
        learns = ROWS if node.snapshot and record_tables(node.snapshot) else EVERYTHING
    if learns.startswith(SPLIT):
        if direct and learns.removeprefix(SPLIT) in splits:
            return LEARNED
        return DESCENDS if _any_learned(through, effects) else ""  # no record of its split
    if direct and learns == EVERYTHING:
        return LEARNED
    return DESCENDS if through else ""


def _any_learned(through: list[str], effects: Mapping[str, Effect]) -> bool:
    return any(effects[parent].learned for parent in through)


def _rows_held(node: Node, records: Collection[bytes]) -> dict[str, int]:
    return records_held(node.snapshot, records) if node.snapshot else {}


def _splits(node: Node, records: Collection[bytes]) -> set[str]:
    """Splits of the records, by every table of a holder that says one."""
    return record_splits(node.snapshot, records) if node.snapshot else set()
