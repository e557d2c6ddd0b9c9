"""Which checkpoint is a recipe's champion, and which were before.

A promotion is a snapshot with a receipt. ``promotion.json`` names the challenger that won, the champion it replaced and
how they compared; the name ``<recipe>/promoted_checkpoint`` stands for the last one, and each names the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assets_data.lineage import Snapshot, Store
from training.recipe import PROMOTED

DOCUMENT = "promotion.json"


@dataclass(frozen=True, slots=True)
class Promotion:
    """One entry of a recipe's history; ids throughout."""

    snapshot: Snapshot
    document: Mapping[str, Any]

    @property
    def checkpoint(self) -> str:
        """The checkpoint that became champion."""
        return self.document["checkpoint"]

    @property
    def needs(self) -> list[str]:
        """Its parents: checkpoint, gate report and preflight."""
        return [self.document[name] for name in ("checkpoint", "gate_report", "preflight")]


def promoted_name(recipe: str) -> str:
    """The name under which the champion stands."""
    return f"{recipe}/{PROMOTED}"


def is_promotion(kind: str) -> bool:
    """Whether a kind or name is that of a champion."""
    return kind.partition("/")[2] == PROMOTED


def champion(store: Store, recipe: str) -> Promotion | None:
    """The standing champion, its promotion verified; None where nothing was ever promoted."""
    entry = store.pointer(promoted_name(recipe))
    return read_promotion(store, entry["snapshot"]) if entry else None


def history(store: Store, recipe: str) -> Iterator[Promotion]:
    """Every promotion, the standing one first."""
    standing = champion(store, recipe)
    while standing:
        yield standing
        before = standing.document["before"]
        standing = read_promotion(store, before["promotion"]) if before else None


def read_promotion(store: Store, snapshot_id: str) -> Promotion:
    """One promotion. Raises IntegrityError when it is gone or edited."""
    snapshot = store.snapshot(snapshot_id)
    return Promotion(snapshot, snapshot.read_json(DOCUMENT))


def champions(store: Store) -> dict[str, Promotion]:
    """The standing champion of every recipe that has one."""
    recipes = [name.partition("/")[0] for name in store.all_names() if is_promotion(name)]
    return {recipe: found for recipe in recipes if (found := champion(store, recipe))}
