"""Texts that come back: what a slice left out because a record of another slice had its text, when that record goes.

The receipt of a slice's triples names its drop list by digest alone, so no path of receipts leads from the owner there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets_data.lineage import Snapshot
from assets_data.lineage.queries.tree import Node

LISTS, TRIPLES, NEAR = "text/duplicates", "text/triples", "near_duplicate"


def find_returns(nodes: Mapping[str, Node], records: Collection[bytes]) -> dict[str, set[str]]:
    """The triples that were made under a drop list which is another without the records: id -> the owners' raw slices.

    Exact for equal texts. Of near-duplicates, whose successors may be near others in turn, every slice is named that
    was compared.
    """
    lists: dict[tuple[str, str], set[str]] = {}
    for node in nodes.values():
        if node.kind == LISTS and node.snapshot:
            for raw, owners in _returning(node.snapshot, {record.hex() for record in records}).items():
                lists.setdefault((raw, _digest(node.snapshot, raw)), set()).update(owners)
    found: dict[str, set[str]] = {}
    for node in nodes.values():
        for account in node.accounts if lists and node.kind == TRIPLES else ():
            for parent in account.parents:
                if owners := lists.get((parent.id, account.arguments.get("drops", ""))):
                    found.setdefault(node.id, set()).update(owners)
    return found


def _returning(lists: Snapshot, gone: Collection[str]) -> dict[str, set[str]]:
    """Raw slice -> the raw slices of the owners that it loses."""
    kept, own = pc.field("kept_record_id"), pc.field("record_id")
    owned = kept.isin(list(gone)) & ~own.isin(list(gone))
    lost = pq.read_table(lists.file("drops.parquet"), filters=owned).to_pylist()
    if any(row["reason"] == NEAR for row in lost):
        return dict.fromkeys(lists.read_json("slices.json"), {row["kept_raw_slice"] for row in lost})
    first: dict[tuple[str, str], str] = {}
    for row in lost:  # in the order of the slices: the first has the text now, and the others lose it to that one
        first.setdefault((row["kept_raw_slice"], row["kept_record_id"]), row["raw_slice"])
    found: dict[str, set[str]] = {}
    for (owner, _), raw in first.items():
        found.setdefault(raw, set()).add(owner)
    return found


def _digest(lists: Snapshot, raw: str) -> str:
    import polars as pl  # only where a text does come back: most questions need no polars

    from assets_data.domains.text.drops import drops_digest

    listed = pl.scan_parquet(lists.file("drops.parquet")).filter(pl.col("raw_slice") == raw)
    return drops_digest(listed.select("record_id", "reason").sort("record_id").collect())
