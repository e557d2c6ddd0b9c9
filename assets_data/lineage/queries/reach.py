"""Where records went: every snapshot that names them, every one that learned from them, every one that stands on those.

Promises to miss nothing: a snapshot that reads a holder and names no records is taken to have learned from it unless
its kind is known to learn from some splits only, or from nothing at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from assets_data.lineage.queries.record_rows import record_splits, records_held
from assets_data.lineage.queries.records import record_tables
from assets_data.lineage.queries.tree import Node, load_tree
from assets_data.lineage.storage.redaction import WITHDRAWN_FROM
from assets_data.lineage.storage.store import Store

HOLDS, LEARNED, STANDS = "holds", "learned", "stands on"


@dataclass(slots=True, kw_only=True)
class Effect:
    """What one snapshot has to do with the records. ``rows`` is by table, for holders; ``through`` are the ids of the
    parents that brought it here; ``taught``: it, or something it stands on, learned from them."""

    node: Node
    how: str
    taught: bool
    rows: Mapping[str, int] = field(default_factory=dict)
    through: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learners:
    """``splits``: kinds that learn from the records of these splits only; ``names``: kinds that learn from nothing they
    read (a manifest). Both by the last part of the kind, so that every recipe's count."""

    splits: Mapping[str, str]
    names: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Every effect, parents first, and the splits the records were put in ("" where no table says)."""

    effects: Mapping[str, Effect]
    splits: frozenset[str]


def all_nodes(store: Store) -> dict[str, Node]:
    """Every snapshot in the store, parents first, also those that no name stands for any more."""
    return load_tree(store, store.snapshot_ids())


def find_reach(
    nodes: Mapping[str, Node],
    records: Collection[bytes],
    learners: Learners,
    further: Mapping[str, Collection[str]] = {},
) -> Reach:
    """Follow ``records`` through ``nodes`` (parents first, see :func:`all_nodes`).

    ``further`` are parents that no receipt names as such, by the id of what depends on them; they come first too.
    """
    held = {key: found for key, node in nodes.items() if (found := _rows_held(node, records))}
    derived = [nodes[key] for key in held if nodes[key].parents]  # a source's own word on splits is not yet a use
    splits = {split for node in derived for split in _splits(node, records)} - {""}
    effects: dict[str, Effect] = {}
    for key, node in nodes.items():
        through = [parent for parent in (*_taken_over(node), *further.get(key, ())) if parent in effects]
        if key in held:
            effects[key] = Effect(
                node=node, how=HOLDS, rows=held[key], through=through, taught=_taught(through, effects)
            )
        elif how := _how(node, through, effects, splits, learners):
            taught = how == LEARNED or _taught(through, effects)
            effects[key] = Effect(node=node, how=how, through=through, taught=taught)
    return Reach(effects=effects, splits=frozenset(splits))


def _taken_over(node: Node) -> list[str]:
    """The parents whose content lives on in a node: not the one it was redacted from, whose records it names itself."""
    parents = (parent for account in node.accounts for parent in account.parents)
    return list(dict.fromkeys(parent.id for parent in parents if parent.input != WITHDRAWN_FROM))


def _how(node: Node, through: list[str], effects: Mapping[str, Effect], splits: set[str], learners: Learners) -> str:
    """A non-holder's part: it learned from a holder, or it stands on what did, or (the empty string) neither."""
    direct = any(effects[parent].how == HOLDS for parent in through)
    name = node.kind.rpartition("/")[2]
    if name in learners.splits:
        if direct and learners.splits[name] in splits:
            return LEARNED
        return STANDS if _taught(through, effects) else ""  # what was not in its split changes nothing it learned
    carries = node.snapshot and record_tables(node.snapshot)  # it names the records it took, and took none of these
    if direct and name not in learners.names and not carries:
        return LEARNED
    return STANDS if through else ""


def _taught(through: list[str], effects: Mapping[str, Effect]) -> bool:
    return any(effects[parent].taught for parent in through)


def _rows_held(node: Node, records: Collection[bytes]) -> dict[str, int]:
    return records_held(node.snapshot, records) if node.snapshot else {}


def _splits(node: Node, records: Collection[bytes]) -> set[str]:
    """Splits of the records, from every table of a holder that has both columns."""
    return record_splits(node.snapshot, records) if node.snapshot else set()
